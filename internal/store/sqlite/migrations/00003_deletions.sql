-- Which accounts are to go. Hardly any are: the index has no row for the others.

-- +goose Up
CREATE INDEX users_deletion ON users (delete_at, id) WHERE delete_at > 0;

-- +goose Down
DROP INDEX users_deletion;
