-- Times are Unix microseconds, 0 for never.
--
-- Rows that may fill a good part of a page live in rowid tables: there they are
-- appended, and only their keys go to random places. Small rows live in their
-- primary key's tree (WITHOUT ROWID).
--
-- An index on the end of life serves Purge. No statement of a flow's hot path
-- names such a column, so that it is written once, at the right-hand edge.

-- +goose Up
CREATE TABLE transactions (
    id         TEXT NOT NULL PRIMARY KEY,
    client_id  TEXT NOT NULL,
    version    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    data       BLOB NOT NULL
) STRICT;
CREATE INDEX transactions_end ON transactions (expires_at);

-- canonical is compared as bytes (BINARY is the default collation).
CREATE TABLE users (
    id                TEXT NOT NULL PRIMARY KEY,
    version           INTEGER NOT NULL,
    status            TEXT NOT NULL,
    email             TEXT NOT NULL,
    canonical         TEXT NOT NULL UNIQUE,
    first_name        TEXT NOT NULL,
    last_name         TEXT NOT NULL,
    locale            TEXT NOT NULL,
    attributes        TEXT NOT NULL,
    email_verified_at INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
) STRICT;

-- A user's enrollments lie side by side: an account is read by two descents.
CREATE TABLE enrollments (
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id            TEXT NOT NULL UNIQUE,
    version       INTEGER NOT NULL,
    authenticator TEXT NOT NULL,
    credential    BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    id           TEXT NOT NULL PRIMARY KEY,
    kind         TEXT NOT NULL,
    payload      BLOB NOT NULL,
    status       TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    last_error   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    not_before   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    fence        INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_due ON outbox (not_before) WHERE status IN ('queued', 'delayed');
CREATE INDEX outbox_end ON outbox (expires_at);

CREATE TABLE clients (
    id      TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    data    TEXT NOT NULL
) STRICT;

CREATE TABLE signing_keys (
    id          TEXT NOT NULL PRIMARY KEY,
    server      TEXT NOT NULL,
    alg         TEXT NOT NULL,
    private     BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    active_from INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;

-- Of two nodes that make a key for the same slot at once, one wins.
CREATE UNIQUE INDEX signing_keys_slot ON signing_keys (server, alg, active_from);

CREATE TABLE refresh_families (
    id         TEXT NOT NULL PRIMARY KEY,
    grant_id   TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    server     TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    amr        TEXT NOT NULL,
    auth_time  INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    idle_until INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families_grant ON refresh_families (grant_id);
CREATE INDEX refresh_families_end ON refresh_families (idle_until);

CREATE TABLE revocations (
    id         TEXT NOT NULL PRIMARY KEY,
    revoked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_made ON revocations (revoked_at);
CREATE INDEX revocations_end ON revocations (expires_at);

-- seq is the order of commits. The position is the sealer's: 0 until it has come.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    at       INTEGER NOT NULL,
    events   TEXT NOT NULL,
    position INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0)
) STRICT;
CREATE UNIQUE INDEX audit_sealed ON audit (position) WHERE position > 0;
CREATE INDEX audit_unsealed ON audit (position) WHERE position = 0;

CREATE TABLE audit_seals (
    number    INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL,
    last_row  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    mac       BLOB NOT NULL
) STRICT;

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
