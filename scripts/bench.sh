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

work=$(mktemp -d)
trap 'stop' EXIT
stop() {
  [ ! -f "$work/pg/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/pg" -m fast -w stop >/dev/null
  rm -rf "$work"
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
  else
    "$@"
  fi
}

postgres() {
  for bin in "$(dirname "$(command -v initdb || echo none/none)")" /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && break || bin=
  done
  [ -n "$bin" ] || { echo "left out: PostgreSQL (no server here)"; return; }
  mkdir "$work/pg"
  if [ "$(id -u)" = 0 ]; then
    chmod 711 "$work" && chown postgres "$work/pg"
  fi
  as_postgres "$bin/initdb" -D "$work/pg" -U stile -A trust -E UTF8 --locale=C >/dev/null
  as_postgres "$bin/pg_ctl" -D "$work/pg" -o "-k $work/pg -c listen_addresses= -c max_connections=200" -l "$work/pg/log" -w start >/dev/null
  url="postgres://stile@/postgres?host=$work/pg"
}

url=
postgres
go build -o "$work/bench" ./internal/bench
"$work/bench" ${url:+-postgres "$url"} "$@"
