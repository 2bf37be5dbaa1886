#!/usr/bin/env bash
# Usage: http-ok.sh PORT PATH
# Succeeds if 127.0.0.1:PORT answers a GET of PATH with 200. For health checks: the image has no curl, and Node would use
# thirty times as much CPU.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
read -r -t 2 _ status _ <&3
[ "$status" = 200 ]
