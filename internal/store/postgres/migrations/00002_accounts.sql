-- Sessions, tickets, devices, counters, groups; where people were; who is gone.

-- +goose Up

-- groups is the list that counts, as JSON; memberships is its index. The folded
-- names are what a search compares, made by the program, which knows all letters:
-- there is nothing to fold yet, as no program wrote users into version 1 here.
ALTER TABLE users ADD COLUMN groups        TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN signed_out_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN delete_at     BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN first_folded  TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN last_folded   TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX users_first ON users (first_folded);
CREATE INDEX users_last ON users (last_folded);

CREATE TABLE memberships (
    user_id  TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX memberships_group ON memberships (group_id, user_id);

-- Ids that were users once. They stay for good: logs and tokens name them.
CREATE TABLE deleted_users (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

CREATE TABLE tickets (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind       TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    version    BIGINT NOT NULL,
    data       BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at   BIGINT NOT NULL
);
CREATE INDEX tickets_user ON tickets (user_id, kind);
CREATE INDEX tickets_end ON tickets (expires_at);

-- proofs is JSON, remembered is 0 or 1.
CREATE TABLE sessions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    version    BIGINT NOT NULL,
    proofs     TEXT COLLATE "C" NOT NULL,
    remembered BIGINT NOT NULL,
    ip         TEXT COLLATE "C" NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_end ON sessions (idle_until);

-- One browser may be a device of several people.
CREATE TABLE devices (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id         TEXT COLLATE "C" NOT NULL,
    ip         TEXT COLLATE "C" NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX devices_end ON devices (expires_at);

CREATE TABLE counters (
    key        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    data       BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX counters_end ON counters (expires_at);

ALTER TABLE refresh_families ADD COLUMN ip         TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE refresh_families ADD COLUMN user_agent TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE refresh_families ADD COLUMN session_id TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX refresh_families_user ON refresh_families (user_id);
