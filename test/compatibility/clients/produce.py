"""Sends the lines of standard input to partition 0 of a topic, an equal part of them with each codec:
produce.py SERVERS TOPIC CODEC...
"""

import sys

from confluent_kafka import Producer

servers, topic, *codecs = sys.argv[1:]
lines = sys.stdin.buffer.read().splitlines()
part = len(lines) // len(codecs)
failures = []


def delivered(error, _message):
    if error is not None:
        failures.append(str(error))


for n, codec in enumerate(codecs):
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 100, "compression.type": codec})
    for line in lines[n * part : (n + 1) * part]:
        producer.produce(topic, line, partition=0, on_delivery=delivered)
    if producer.flush(20) > 0 or failures:
        sys.exit(f"not delivered: {failures[:1]}")
