#!/usr/bin/env bash
# Makes internal/authenticator/password/common.txt from the password list of
# @zxcvbn-ts/language-common, which is MIT licensed (see NOTICE).
# Needs npm and node. Usage: scripts/common-passwords.sh
set -euo pipefail

version=4.1.3
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "@zxcvbn-ts/language-common@$version" >/dev/null
tar xzf ./*.tgz package/src/passwords.json
node -e '
	const list = require("./package/src/passwords.json")
		.map(p => p.normalize("NFC").toLowerCase())
		.filter(p => [...p].length >= 8 && !p.includes("\n"));
	process.stdout.write([...new Set(list)].join("\n") + "\n");
' | LC_ALL=C sort -u >"$root/internal/authenticator/password/common.txt"
wc -l "$root/internal/authenticator/password/common.txt"
