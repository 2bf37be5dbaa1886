"""Sends one event, retrying until it is accepted: python3 send_event.py URL <event.json

The body, including the id, is made once and never changes, so the event is stored once, however often it is sent.
Needs requests and Python 3.9 or later. Exit codes: 0 accepted, 1 refused, 64 wrong usage, 75 given up for now.
"""

import json
import os
import random
import secrets
import sys
import time
import uuid
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import requests

EXAMPLE = b'{"user_id": 42, "metadata": {"page": "/pricing"}}'


def complete(event: bytes) -> bytes:
    """Adds what is missing. The rest stays as it is written, with all digits of its numbers."""
    event = event.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of programs on Windows
    own = json.loads(event)
    if not isinstance(own, dict) or not own:
        raise ValueError("it is not a JSON object with fields")
    made = {"event_id": str(uuid7()), "timestamp": datetime.now(timezone.utc).isoformat()}
    added = "".join(f'"{name}": "{value}", ' for name, value in made.items() if name not in own)
    return b"{" + added.encode() + event.strip()[1:]


def uuid7() -> uuid.UUID:
    """48 bits of time, then 74 random bits (RFC 9562): new ids are close together in the index of the table."""
    time_ms = time.time_ns() // 1_000_000
    return uuid.UUID(int=time_ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))


def send(url: str, body: bytes, attempt_s: float = 10, total_s: float = 60) -> str:
    """Returns the id. Raises ValueError if the event is refused, TimeoutError if it is not accepted in time."""
    end = time.monotonic() + total_s
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    failures = 0
    while True:
        wait_s = min(0.25 * 2**failures, 30) * random.uniform(0.5, 1)
        try:
            answer = requests.post(url, body, headers=headers, timeout=attempt_s, allow_redirects=False)
        except requests.RequestException as error:
            why = str(error)  # The event may have been accepted: perhaps only the answer was lost.
        else:
            if answer.status_code == 202:
                return str(answer.json()["event_id"])
            why = f"{answer.status_code} {answer.text}"
            if answer.status_code not in (408, 429) and answer.status_code < 500:
                raise ValueError(why)
            wait_s += seconds_until(answer.headers.get("Retry-After", ""))
        if time.monotonic() + wait_s > end:
            raise TimeoutError(why)
        time.sleep(wait_s)
        failures += 1


def seconds_until(retry_after: str) -> float:
    """Retry-After is a number of seconds or a date."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0


def main() -> int:
    if len(sys.argv) != 2 or not sys.argv[1].startswith(("http://", "https://")):
        print("usage: python3 send_event.py http://HOST:PORT <event.json", file=sys.stderr)
        return 64
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
    body = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    try:
        body = complete(body or EXAMPLE)
        print(send(f"{sys.argv[1].rstrip('/')}/event", body))
        return 0
    except ValueError as error:
        print(f"The event was refused: {error}", file=sys.stderr)
        return 1
    except TimeoutError as error:
        print(f"The event was not accepted in time: {error}", file=sys.stderr)
        print(f"It may be stored. Send exactly this again, and it is stored once:\n{body.decode()}", file=sys.stderr)
        return 75


if __name__ == "__main__":
    sys.exit(main())
