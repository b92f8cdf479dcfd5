-- Splits the tables that grow with people into eight partitions each: by user where
-- rows are found by user, by id where they are found by id, as from a cookie or a
-- token. Nodes need no setting for it and notice nothing but the plans
-- (docs/decisions/0013-partitions.md).
--
-- With all nodes stopped, after a backup:
--
--   psql --single-transaction -v ON_ERROR_STOP=1 -f partition-people.sql DATABASE

SET client_min_messages = warning;

DO $$
DECLARE
    split record;
BEGIN
    FOR split IN VALUES
        ('memberships', 'user_id'), ('devices', 'user_id'),
        ('sessions', 'id'), ('tickets', 'id'), ('refresh_families', 'id')
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO whole', split.column1);
        EXECUTE format('CREATE TABLE %I (LIKE whole INCLUDING DEFAULTS INCLUDING INDEXES) PARTITION BY HASH (%I)', split.column1, split.column2);
        FOR n IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)', split.column1 || '_' || n, split.column1, n);
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM whole', split.column1);
        IF split.column1 <> 'refresh_families' THEN
            EXECUTE format('ALTER TABLE %I ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE', split.column1);
        END IF;
        DROP TABLE whole;
    END LOOP;
END $$;

ANALYZE memberships, devices, sessions, tickets, refresh_families;
