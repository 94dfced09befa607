"""Reads lines {"schema": …, "body": hex} and answers each with what fastavro
reads: bytes in base64, floats that are no number by name, unions untagged."""
import base64, io, json, math, sys
import fastavro

def plain(v):
    if isinstance(v, (bytes, bytearray)):
        return base64.b64encode(bytes(v)).decode()
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity"
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return v

for line in sys.stdin:
    q = json.loads(line)
    body = io.BytesIO(bytes.fromhex(q["body"]))
    value = fastavro.schemaless_reader(body, fastavro.parse_schema(q["schema"]))
    if body.read():
        raise SystemExit("bytes are left")
    print(json.dumps(plain(value)))
