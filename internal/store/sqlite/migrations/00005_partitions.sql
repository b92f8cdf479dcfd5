-- PostgreSQL keeps transactions in partitions from here on. A file has none: there
-- is nothing to do.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
