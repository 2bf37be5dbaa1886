"""Sends CloudEvents that the public SDK makes, and prints the status and the body of each answer, one a line:
cloud_events.py URL
"""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

url = sys.argv[1]
# Python has no float for it; in JSON it is a number.
HUGE = b"1e400"


def event(ce_id, data, **more):
    attributes = {
        "id": ce_id,
        "source": "/kiosk/caf\u00e9 100%",
        "type": "order \u2615 placed",
        "time": datetime(2026, 1, 2, 4, 4, 5, 123456, timezone(timedelta(hours=1))),
        "subject": "9007199254740993",
        "sessionid": 's "1"',
        **more,
    }
    return CloudEvent(attributes=attributes, data=data)


def send(path, headers, body):
    request = urllib.request.Request(url + path, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    print(json.dumps({"status": status, "body": json.loads(text)}))


def data():
    return {"n": 9007199254740993, "z": "HUGE", "text": "caf\u00e9"}


def huge(body):
    return body.replace(b'"HUGE"', HUGE)


binary = to_binary_event(event("py-binary", data(), datacontenttype="application/json"))
send("/event", binary.headers, huge(binary.body))
structured = to_structured_event(event("py-structured", data()))
send("/event", structured.headers, huge(structured.body))
batch = b",".join(JSONFormat().write(event(ce_id, data())) for ce_id in ("py-batch-1", "py-batch-2"))
send("/events", {"Content-Type": "application/cloudevents-batch+json"}, b"[" + huge(batch) + b"]")
for path in ("/event", "/events"):
    for refused in (
        to_structured_event(event("py-bytes", b"\x00\x01")),
        to_structured_event(event("py-text", "hello", datacontenttype="text/plain")),
        to_binary_event(event("py-text", "hello", datacontenttype="text/plain")),
    ):
        send(path, refused.headers, refused.body)
