-- The schema of SQLite's migration of this number, in PostgreSQL's types: a test
-- compares them.
--
-- Times are Unix microseconds, 0 for never. Text is ordered and compared as
-- bytes, whatever the database's locale is: hence COLLATE "C" at every column.
--
-- Rows that are written again within a minute leave half of their page free, so
-- that the new version lies beside the old one and no index is touched (HOT).

-- +goose Up
CREATE TABLE transactions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id  TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data       BYTEA NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX transactions_end ON transactions (expires_at);

CREATE TABLE users (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version           BIGINT NOT NULL,
    status            TEXT COLLATE "C" NOT NULL,
    email             TEXT COLLATE "C" NOT NULL,
    canonical         TEXT COLLATE "C" NOT NULL UNIQUE,
    first_name        TEXT COLLATE "C" NOT NULL,
    last_name         TEXT COLLATE "C" NOT NULL,
    locale            TEXT COLLATE "C" NOT NULL,
    attributes        TEXT COLLATE "C" NOT NULL,
    email_verified_at BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);

CREATE TABLE enrollments (
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id            TEXT COLLATE "C" NOT NULL UNIQUE,
    version       BIGINT NOT NULL,
    authenticator TEXT COLLATE "C" NOT NULL,
    credential    BYTEA NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
);

CREATE TABLE outbox (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind         TEXT COLLATE "C" NOT NULL,
    payload      BYTEA NOT NULL,
    status       TEXT COLLATE "C" NOT NULL,
    attempts     BIGINT NOT NULL,
    last_error   TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    not_before   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    fence        BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX outbox_due ON outbox (not_before) WHERE status IN ('queued', 'delayed');
CREATE INDEX outbox_end ON outbox (expires_at);

CREATE TABLE clients (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    data    TEXT COLLATE "C" NOT NULL
);

CREATE TABLE signing_keys (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    server      TEXT COLLATE "C" NOT NULL,
    alg         TEXT COLLATE "C" NOT NULL,
    private     BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    active_from BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);

-- Of two nodes that make a key for the same slot at once, one wins.
CREATE UNIQUE INDEX signing_keys_slot ON signing_keys (server, alg, active_from);

CREATE TABLE refresh_families (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    grant_id   TEXT COLLATE "C" NOT NULL,
    client_id  TEXT COLLATE "C" NOT NULL,
    user_id    TEXT COLLATE "C" NOT NULL,
    server     TEXT COLLATE "C" NOT NULL,
    scopes     TEXT COLLATE "C" NOT NULL,
    amr        TEXT COLLATE "C" NOT NULL,
    auth_time  BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX refresh_families_grant ON refresh_families (grant_id);
CREATE INDEX refresh_families_end ON refresh_families (idle_until);

CREATE TABLE revocations (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revoked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revocations_made ON revocations (revoked_at);
CREATE INDEX revocations_end ON revocations (expires_at);

-- seq is made of the number of the transaction, which the database gives out at
-- its first write: no sequence. The position is the sealer's: 0 until it has come.
CREATE TABLE audit (
    seq      BIGINT PRIMARY KEY,
    id       TEXT COLLATE "C" NOT NULL UNIQUE,
    at       BIGINT NOT NULL,
    events   TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL DEFAULT 0 CHECK (position >= 0)
);
CREATE UNIQUE INDEX audit_sealed ON audit (position) WHERE position > 0;
CREATE INDEX audit_unsealed ON audit (position) WHERE position = 0;

CREATE TABLE audit_seals (
    number    BIGINT PRIMARY KEY,
    first_row BIGINT NOT NULL,
    last_row  BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    hash      BYTEA NOT NULL,
    mac       BYTEA NOT NULL
);

CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
