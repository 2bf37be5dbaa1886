#!/bin/sh
# Sends one event, retrying until it is accepted: ./send-event.sh URL <event.json
#
# The body, including the id, is made once and never changes, so the event is stored once, however often it is sent.
# Needs curl and a POSIX shell. Exit codes: 0 accepted, 1 refused, 64 wrong usage, 75 given up for now.
set -u
export LC_ALL=C
example='{"user_id": 42, "metadata": {"page": "/pricing"}}'

# 48 bits of time (to the second: POSIX has no finer one), then random bits (RFC 9562): new ids are close together in
# the index of the table.
uuid7() {
  printf '%012x%s' "$(date +%s)000" "$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')" |
    sed 's/\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-7\3-8\4-\5/'
}

# The names of the event's own members, one a line, without those inside its values.
names() {
  awk '{
    while (match($0, /"([^"\\]|\\.)*"|[][{}:]/)) {
      token = substr($0, RSTART, RLENGTH)
      $0 = substr($0, RSTART + RLENGTH)
      if (token == "{" || token == "[") depth++
      else if (token == "}" || token == "]") depth--
      else if (token != ":") last = token
      else if (depth == 1) print last
    }
  }'
}

# Adds what is missing. The rest stays as it is written, with all digits of its numbers.
complete() {
  own=$(printf '%s\n' "$1" | names)
  [ -n "$own" ] || { printf '%s' "$1"; return; } # for the API to refuse
  printf '{'
  printf '%s\n' "$own" | grep -qx '"event_id"' || printf '"event_id": "%s", ' "$(uuid7)"
  printf '%s\n' "$own" | grep -qx '"timestamp"' || printf '"timestamp": "%s", ' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
  printf '%s' "${1#*\{}"
}

# Seconds to wait after the answer on standard input: Retry-After (seconds or a date), then a jittered backoff.
wait_after() {
  tr -d '\r' | awk -v now="$(date +%s)" -v failures="$1" -v random="$(od -An -N2 -tu2 /dev/urandom)" '
    /^$/ { exit }
    tolower($1) == "retry-after:" && $2 ~ /^[0-9]+$/ { after = $2 }
    tolower($1) == "retry-after:" && NF == 7 { # Wed, 21 Oct 2015 07:28:00 GMT
      month = (index("JanFebMarAprMayJunJulAugSepOctNovDec", $4) + 2) / 3
      year = $5 - (month < 3)
      days = 365 * year + int(year / 4) - int(year / 100) + int(year / 400) - 719469
      days += int((153 * ((month + 9) % 12) + 2) / 5) + $3
      split($6, time, ":")
      after = days * 86400 + time[1] * 3600 + time[2] * 60 + time[3] - now
    }
    END {
      backoff = 0.25
      while (failures-- > 0 && backoff < 30) backoff *= 2
      printf "%.2f", (after > 0 ? after : 0) + backoff * (0.5 + random / 131072)
    }'
}

case $#${1-} in 1http://?* | 1https://?*) ;; *) echo "usage: $0 http://HOST:PORT <event.json" >&2; exit 64 ;; esac
event=
[ -t 0 ] || event=$(cat)
body=$(complete "${event:-$example}")
end=$(($(date +%s) + 60))
failures=0
while :; do
  # Neither the body nor the key is an argument, because other users of the machine can see those.
  answer=$(printf '%s' "$body" | curl -sSi -m 10 -H 'Content-Type: application/json' -H 'Expect:' -H @/dev/fd/3 \
    --data-binary @- -w '\n%{http_code}' "${1%/}/event" 3<<END
${API_KEY:+Authorization: Bearer $API_KEY}
END
  ) && status=$(printf '%s' "$answer" | tail -n 1) || status=000
  text=$(printf '%s\n' "$answer" | tr -d '\r' | sed '1,/^$/d; $d')
  case $status in
    202) printf '%s\n' "$text" | sed 's/.*"event_id":"\([^"]*\)".*/\1/'; exit 0 ;;
    000 | 408 | 429 | 5??) ;; # 000: the event may have been accepted, and perhaps only the answer was lost
    *) printf 'The event was refused: %s %s\n' "$status" "$text" >&2; exit 1 ;;
  esac
  seconds=$(printf '%s\n' "$answer" | wait_after "$failures")
  if [ $(($(date +%s) + ${seconds%.*})) -ge "$end" ]; then
    printf 'The event was not accepted in time: %s %s\n' "$status" "$text" >&2
    printf 'It may be stored. Send exactly this again, and it is stored once:\n%s\n' "$body" >&2
    exit 75
  fi
  sleep "$seconds"
  failures=$((failures + 1))
done
