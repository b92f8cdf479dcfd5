-- What went on when a person was signed out of everything else: ids of the session
-- and the grant that acted, as a JSON list; empty for none.

-- +goose Up
ALTER TABLE users ADD COLUMN kept TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE revocations ADD COLUMN kept TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What went on then ends too: that is the safe side of not knowing it.
-- +goose Down
ALTER TABLE users DROP COLUMN kept;
ALTER TABLE revocations DROP COLUMN kept;
