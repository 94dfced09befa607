"""librdkafka's Python client, as the other side of the live interoperability test.

client.py read BROKERS TOPIC COUNT     print COUNT committed records, a JSON object a line
client.py write BROKERS TOPIC COUNT    for each codec: COUNT records in a transaction that is
                                       aborted, then COUNT in one that is committed
"""

import json
import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def text(value):
    return None if value is None else value.decode()


def read(brokers, topic, count):
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "nobody",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    for _ in range(count):
        m = consumer.poll(60)
        if m is None:
            raise SystemExit("no more records come")
        if m.error():
            raise KafkaException(m.error())
        headers = [[k, text(v)] for k, v in m.headers() or []]
        print(
            json.dumps(
                {"partition": m.partition(), "offset": m.offset(), "key": text(m.key()), "value": text(m.value()), "headers": headers}
            )
        )
    consumer.close()


def write(brokers, topic, count):
    for codec in CODECS:
        producer = Producer(
            {
                "bootstrap.servers": brokers,
                "transactional.id": f"{topic}-{codec}",
                "compression.type": codec,
                "partitioner": "murmur2_random",
            }
        )
        producer.init_transactions(60)
        for end in ["abort", "commit"]:
            producer.begin_transaction()
            for i in range(count):
                producer.produce(topic, key=f"k{i}", value=f"{end}/{codec}/{i}", headers=[("h", b"1"), ("n", None)])
            producer.flush(60)
            getattr(producer, f"{end}_transaction")(60)


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
