"""Writes or reads Avro container files with fastavro.

    container.py write FILE CODEC … < {"schema": …, "records": [{"n", "s", "b": hex}]}
    container.py read FILE …        > [{"n", "s", "b": hex}] for each
"""

import json
import sys

import fastavro


def main():
    if sys.argv[1] == "write":
        given = json.load(sys.stdin)
        records = [{**r, "b": bytes.fromhex(r["b"])} for r in given["records"]]
        for path, codec in zip(sys.argv[2::2], sys.argv[3::2]):
            with open(path, "wb") as f:
                fastavro.writer(f, fastavro.parse_schema(given["schema"]), records, codec=codec)
        return
    for path in sys.argv[2:]:
        with open(path, "rb") as f:
            print(json.dumps([{**r, "b": r["b"].hex()} for r in fastavro.reader(f)]))


main()
