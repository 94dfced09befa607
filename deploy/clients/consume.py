"""Reads topics with Confluent's Python client and decodes them by the hub's schema registry.

    consume.py CONFIG    {"brokers", "registry", "ca", "certificate", "key", "token"?, "topics", "records"}

Prints {"topic", "partition", "offset", "value"} for each record. Values are shown as Avro's plain
types, so that the clients of all languages can be compared: dates and timestamps as numbers, bytes
and decimals as {"hex": …}.
"""

import datetime
import decimal
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(v):
    if isinstance(v, dict):
        return {name: plain(x) for name, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, bytes):
        return {"hex": v.hex()}
    if isinstance(v, decimal.Decimal):
        n = int(v.scaleb(-v.as_tuple().exponent))
        size = (n if n >= 0 else ~n).bit_length() // 8 + 1
        return {"hex": n.to_bytes(size, "big", signed=True).hex()}
    if isinstance(v, datetime.datetime):
        return (v - EPOCH) // datetime.timedelta(milliseconds=1)
    if isinstance(v, datetime.date):
        return (v - EPOCH.date()).days
    return v


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        config = json.load(f)
    registry = {
        "url": config["registry"],
        "ssl.ca.location": config["ca"],
        "ssl.certificate.location": config["certificate"],
        "ssl.key.location": config["key"],
    }
    if "token" in config:  # the certificate is enough; a grant may come beside it
        registry["basic.auth.user.info"] = "token:" + config["token"]
    deserialize = AvroDeserializer(SchemaRegistryClient(registry))
    consumer = Consumer({"bootstrap.servers": config["brokers"], "group.id": "unused", "isolation.level": "read_committed"})
    consumer.assign(
        [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in config["topics"]
            for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions
        ]
    )
    for _ in range(config["records"]):
        m = consumer.poll(60)
        if m is None:
            sys.exit("no record within a minute")
        if m.error():
            sys.exit(str(m.error()))
        value = deserialize(m.value(), SerializationContext(m.topic(), MessageField.VALUE))
        line = {"topic": m.topic(), "partition": m.partition(), "offset": m.offset(), "value": plain(value)}
        print(json.dumps(line, ensure_ascii=False))
    consumer.close()


main()
