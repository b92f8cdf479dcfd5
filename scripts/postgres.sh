# A PostgreSQL server of one script's own, for that to source. It listens on a socket
# in its folder alone, and ends with stop_postgres.

postgres_bin='' postgres_dir='' # until start_postgres

# find_postgres puts the folder of the server's programs into postgres_bin: of those
# in PATH, or where Debian has them.
find_postgres() {
  local dir
  for dir in "$(dirname "$(readlink -f "$(command -v initdb || echo none)")")" /usr/lib/postgresql/*/bin; do
    if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
      postgres_bin=$dir
      return
    fi
  done
  return 1
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
  else
    "$@"
  fi
}

# start_postgres FOLDER SETTING...: makes a server in FOLDER, which is not there yet, and starts it.
start_postgres() {
  find_postgres || return
  postgres_dir=$1
  shift
  mkdir "$postgres_dir" || return
  if [ "$(id -u)" = 0 ]; then
    chmod 711 "$(dirname "$postgres_dir")" && chown postgres "$postgres_dir" || return
  fi
  local setting settings="-k $postgres_dir -c listen_addresses="
  for setting in "$@"; do settings+=" -c $setting"; done
  as_postgres "$postgres_bin/initdb" -D "$postgres_dir" -U stile -A trust -E UTF8 --locale=C >/dev/null &&
    as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir" -o "$settings" -l "$postgres_dir/log" -w start >/dev/null
}

# postgres_url DATABASE
postgres_url() { echo "postgres://stile@/$1?host=$postgres_dir"; }

stop_postgres() {
  [ ! -f "$postgres_dir/postmaster.pid" ] || as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir" -m fast -w stop >/dev/null
}
