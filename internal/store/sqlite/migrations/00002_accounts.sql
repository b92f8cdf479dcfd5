-- Sessions, tickets, devices, counters, groups; where people were; who is gone.
--
-- Text is ordered and compared as bytes (BINARY is the default collation): the
-- pages of a list and the bounds of a search rest on that, in every database.

-- +goose Up

-- groups is the list that counts, as JSON; memberships is its index. The folded
-- names are what a search compares, made by the program, which knows all letters.
ALTER TABLE users ADD COLUMN groups        TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN signed_out_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN delete_at     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN first_folded  TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN last_folded   TEXT NOT NULL DEFAULT '';
UPDATE users SET first_folded = stile_fold(first_name), last_folded = stile_fold(last_name);
CREATE INDEX users_first ON users (first_folded);
CREATE INDEX users_last ON users (last_folded);

CREATE TABLE memberships (
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id TEXT NOT NULL,
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_group ON memberships (group_id, user_id);

-- Ids that were users once. They stay for good: logs and tokens name them.
CREATE TABLE deleted_users (
    id         TEXT NOT NULL PRIMARY KEY,
    deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tickets (
    id         TEXT NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    data       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_user ON tickets (user_id, kind);
CREATE INDEX tickets_end ON tickets (expires_at);

-- proofs is JSON, remembered is 0 or 1.
CREATE TABLE sessions (
    id         TEXT NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    proofs     TEXT NOT NULL,
    remembered INTEGER NOT NULL,
    ip         TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    idle_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_end ON sessions (idle_until);

-- One browser may be a device of several people.
CREATE TABLE devices (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    ip         TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_end ON devices (expires_at);

CREATE TABLE counters (
    key        TEXT NOT NULL PRIMARY KEY,
    data       BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX counters_end ON counters (expires_at);

ALTER TABLE refresh_families ADD COLUMN ip         TEXT NOT NULL DEFAULT '';
ALTER TABLE refresh_families ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
ALTER TABLE refresh_families ADD COLUMN session_id TEXT NOT NULL DEFAULT '';
CREATE INDEX refresh_families_user ON refresh_families (user_id);
