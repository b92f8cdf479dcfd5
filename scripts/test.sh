#!/usr/bin/env bash
# Runs every test of the repository. What it needs it finds or, as root on a
# Debian system, installs. What it cannot have it leaves out and says so in one
# line; with CI=true that is a failure.
#
#   scripts/test.sh            about a quarter of an hour on two cores
#   scripts/test.sh --long     hours: all races, load, timing, fuzzing
#
# CHROMIUM names a browser other than the one in PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/postgres.sh

long=
[ "${1:-}" != --long ] || long=1
# Stamping asks git, which refuses a clone that belongs to somebody else.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
left_out=

main() {
  need_go
  step formatting formatting
  step vet go vet ./...
  local postgres=1
  with_postgres || postgres=
  with_browser || true
  with_systemd
  with_compiler step races races
  ! with_node || step "foreign clients" foreign_clients
  [ -z "$postgres" ] || step "journeys on PostgreSQL" on_postgres
  [ -z "$long" ] || step fuzzing fuzzing
  [ -z "$long" ] || step timing timing
  tests # last: what reads the output looks for go test's own lines at its end
}

# step NAME COMMAND...: runs it, with its time.
step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "== $name: $((SECONDS - start)) s"
}

leave_out() {
  if [ "${CI:-}" = true ]; then
    echo "cannot run $1: $2" >&2
    exit 1
  fi
  left_out+=${left_out:+, }$1
  echo "left out: $1 ($2)"
}

# install PACKAGE...: by apt, if that is possible here.
install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  echo "installing $*"
  { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install "$@"; } >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    return 1
  }
}

need_go() {
  command -v go >/dev/null || { echo "Go is missing: https://go.dev/dl" >&2; exit 1; }
}

# The race detector is the one thing that wants a C compiler.
with_compiler() {
  if command -v "$(go env CC)" >/dev/null || install gcc libc6-dev; then
    "$@"
  else
    leave_out "the race detector" "no C compiler"
  fi
}

# with_node is for the foreign clients, and curl for the script that runs them.
with_node() {
  has_node || install nodejs npm curl && has_node || {
    leave_out "the foreign clients" "no Node 20 with npm, or no curl"
    return 1
  }
}

has_node() {
  command -v npm >/dev/null && command -v curl >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null
}

# with_postgres is for the tests that start a server of their own.
with_postgres() {
  find_postgres || install postgresql && find_postgres || {
    leave_out "the tests on PostgreSQL" "no PostgreSQL server"
    return 1
  }
}

# with_systemd is for the test of the unit file.
with_systemd() {
  command -v systemd-analyze >/dev/null || install systemd && command -v systemd-analyze >/dev/null ||
    leave_out "the test of the systemd unit" "no systemd-analyze"
}

# with_browser exports CHROMIUM, which the browser tests run.
with_browser() {
  find_browser || install chromium && find_browser || {
    leave_out "the browser tests" "no Chromium"
    return 1
  }
}

find_browser() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && CHROMIUM=$(command -v "$name"); then
      export CHROMIUM
      return
    fi
  done
  unset CHROMIUM
  return 1
}

formatting() {
  local bad
  bad=$(find . -name node_modules -prune -o -name '*.go' -print0 | xargs -0 gofmt -l)
  [ -z "$bad" ] || { echo "run make fmt for:" "$bad" >&2; return 1; }
}

# Races: where goroutines meet. -short leaves out what only computes. Tests of the
# whole that drive an engine from outside, one step after the other, run without the
# detector; --long has them with it.
races() {
  if [ -n "$long" ]; then
    go test -race -timeout=120m ./...
  else
    go test -race -short -timeout=15m $(go list ./internal/... ./idx/... ./signin/... | grep -vE '/internal/(attacks|bench)$')
  fi
}

clients=() # whose packages are here
foreign_clients() {
  local suite
  for suite in interop/*/; do
    suite=$(basename "$suite")
    if [ "$suite" = widget ] && [ -z "${CHROMIUM:-}" ]; then
      continue # left out with the browser tests
    elif [ -f "interop/$suite/package-lock.json" ] && ! npm_packages "$suite"; then
      leave_out "interop/$suite" "its npm packages could not be fetched"
    elif [ -f "interop/$suite/go.mod" ] && ! (cd "interop/$suite" && go mod download) >"$log" 2>&1; then
      leave_out "interop/$suite" "its Go modules could not be fetched"
    elif [ -f "interop/$suite/package-lock.json" ] || [ -f "interop/$suite/go.mod" ]; then
      clients+=("$suite")
    fi
  done
  [ ${#clients[@]} -eq 0 ] || timeout 30m interop/run "${clients[@]}"
}

npm_packages() {
  [ -f "interop/$1/node_modules/.package-lock.json" ] || (cd "interop/$1" && npm ci --no-audit --no-fund --loglevel=error) >"$log" 2>&1
}

# Journeys on PostgreSQL: those of the SDK, the pages and the protocol, and one foreign
# client's; with --long all. Elsewhere they run on SQLite.
on_postgres() {
  local suite suites=() journeys=(./stiletest ./idx ./signin ./internal/idxapi)
  [ -z "$long" ] || journeys+=(
    ./examples/demo ./internal/app ./internal/attacks ./internal/browser ./internal/deviceapi ./internal/myaccount)
  export STILETEST_DATABASE=postgres
  go test -timeout=60m "${journeys[@]}"
  for suite in ${clients[@]+"${clients[@]}"}; do # an empty list is unset to an old bash
    [ -z "$long" ] && [ "$suite" != authjs8 ] || suites+=("$suite")
  done
  [ ${#suites[@]} -eq 0 ] || timeout 30m interop/run "${suites[@]}"
  unset STILETEST_DATABASE
}

# Each fuzz target for a minute; without --long their seeds run among the tests.
fuzzing() {
  local package target
  for package in $(go list ./...); do
    for target in $(go test -list='^Fuzz' "$package" | grep '^Fuzz' || true); do
      go test -run='^$' -fuzz="^$target\$" -fuzztime=60s "$package"
    done
  done
}

# What compares times has the machine to itself.
timing() {
  STILE_TEST_LONG=1 go test -count=1 -timeout=60m -run='_Timing$' ./internal/attacks
}

tests() {
  echo "== tests"
  [ -z "$left_out" ] || echo "left out: $left_out"
  if [ -n "$long" ]; then
    STILE_TEST_LONG=1 go test -timeout=120m -skip='_Timing$' ./...
  else
    go test -timeout=60m ./...
  fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
main
