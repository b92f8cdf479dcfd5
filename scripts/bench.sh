#!/usr/bin/env bash
# Measures whole journeys beside a floor, in one run: docs/performance.md says how
# to read it. PostgreSQL is one of its own that forces commits to disk.
#
#   scripts/bench.sh                        all of it, within ten minutes
#   scripts/bench.sh -what signin -clients 8,32
#   scripts/bench.sh -what signup -clients 8 -alg RS256 -nodes 1,2,3
#
# The flags are those of internal/bench. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/postgres.sh

work=$(mktemp -d)
trap 'stop' EXIT
stop() {
  stop_postgres
  rm -rf "$work"
}

url=
if start_postgres "$work/pg" max_connections=200; then
  url=$(postgres_url postgres)
elif [ -z "$postgres_bin" ]; then
  echo "left out: PostgreSQL (no server here)"
else
  exit 1
fi
go build -o "$work/bench" ./internal/bench
"$work/bench" ${url:+-postgres "$url"} "$@"
