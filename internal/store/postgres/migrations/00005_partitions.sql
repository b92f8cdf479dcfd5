-- Transactions lie in a ring of partitions, by the second character of their id,
-- which says when they began: those of ten minutes end together, and are
-- truncated together (decision 13). What is there stays where it is, as the
-- partition of the ids that tell no time, which programs of version 4 write too.

-- +goose Up
ALTER TABLE transactions RENAME TO transactions_x;
ALTER INDEX transactions_pkey RENAME TO transactions_x_pkey;
ALTER INDEX transactions_end RENAME TO transactions_x_end;

CREATE TABLE transactions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id  TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data       BYTEA NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX transactions_end ON transactions (expires_at);

CREATE TABLE transactions_a PARTITION OF transactions FOR VALUES FROM ('tA') TO ('tB') WITH (fillfactor = 50);
CREATE TABLE transactions_b PARTITION OF transactions FOR VALUES FROM ('tB') TO ('tC') WITH (fillfactor = 50);
CREATE TABLE transactions_c PARTITION OF transactions FOR VALUES FROM ('tC') TO ('tD') WITH (fillfactor = 50);
CREATE TABLE transactions_d PARTITION OF transactions FOR VALUES FROM ('tD') TO ('tE') WITH (fillfactor = 50);
CREATE TABLE transactions_e PARTITION OF transactions FOR VALUES FROM ('tE') TO ('tF') WITH (fillfactor = 50);
CREATE TABLE transactions_f PARTITION OF transactions FOR VALUES FROM ('tF') TO ('tG') WITH (fillfactor = 50);
CREATE TABLE transactions_g PARTITION OF transactions FOR VALUES FROM ('tG') TO ('tH') WITH (fillfactor = 50);
CREATE TABLE transactions_h PARTITION OF transactions FOR VALUES FROM ('tH') TO ('tI') WITH (fillfactor = 50);
CREATE TABLE transactions_i PARTITION OF transactions FOR VALUES FROM ('tI') TO ('tJ') WITH (fillfactor = 50);
CREATE TABLE transactions_j PARTITION OF transactions FOR VALUES FROM ('tJ') TO ('tK') WITH (fillfactor = 50);
CREATE TABLE transactions_k PARTITION OF transactions FOR VALUES FROM ('tK') TO ('tL') WITH (fillfactor = 50);
CREATE TABLE transactions_l PARTITION OF transactions FOR VALUES FROM ('tL') TO ('tM') WITH (fillfactor = 50);

-- After a step back, what tells its time lies with the rest.
WITH moved AS (DELETE FROM transactions_x WHERE id >= 'tA' AND id < 'tM' RETURNING *)
INSERT INTO transactions SELECT * FROM moved;

-- The database reads through it: nothing of the others may be in it.
ALTER TABLE transactions ATTACH PARTITION transactions_x DEFAULT;

-- +goose Down
-- With the partitions: programs of version 5 write to these by name, and what one wrote
-- after the rows were read would be lost.
LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE;
ALTER TABLE transactions DETACH PARTITION transactions_x;
-- None can begin by now: what would hold them up for longer than they may wait
-- is not moved (mostMoved in migrate.go).
-- +goose StatementBegin
DO $$ BEGIN
    IF (SELECT count(*) FROM (SELECT FROM transactions LIMIT 25001) AS moved) > 25000 THEN
        RAISE EXCEPTION 'more than 25000 flows lie in partitions'; END IF; END $$;
-- +goose StatementEnd
INSERT INTO transactions_x SELECT * FROM transactions;
DROP TABLE transactions;
ALTER TABLE transactions_x RENAME TO transactions;
ALTER INDEX transactions_x_pkey RENAME TO transactions_pkey;
ALTER INDEX transactions_x_end RENAME TO transactions_end;
