"""Sends each line of standard input to partition 0 of a topic: produce.py SERVERS TOPIC NAME=VALUE..."""

import sys

from confluent_kafka import Producer

servers, topic, *given = sys.argv[1:]
producer = Producer(
    {"bootstrap.servers": servers, "linger.ms": 100, **dict(each.split("=", 1) for each in given)}
)
failures = []


def delivered(error, _message):
    if error is not None:
        failures.append(str(error))


for line in sys.stdin:
    producer.produce(topic, line.rstrip("\n").encode(), partition=0, on_delivery=delivered)
if producer.flush(20) > 0 or failures:
    sys.exit(f"not delivered: {failures[:1]}")
