// Reads lines {"schema": …, "body": hex} and answers each with what avsc reads:
// bytes in base64, longs as text, floats that are no number by name, unions
// tagged.
const avro = require('avsc');
const readline = require('readline');

const long = avro.types.LongType.__with({
  fromBuffer: (b) => b.readBigInt64LE(),
  toBuffer: (n) => { const b = Buffer.alloc(8); b.writeBigInt64LE(n); return b; },
  fromJSON: BigInt, toJSON: String, isValid: (n) => typeof n === 'bigint',
  compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
});

function plain(v) {
  if (v === null || typeof v === 'string' || typeof v === 'boolean') return v;
  if (typeof v === 'bigint') return String(v);
  if (typeof v === 'number') return Number.isFinite(v) ? (Object.is(v, -0) ? '-0' : v) : String(v);
  if (Buffer.isBuffer(v)) return v.toString('base64');
  if (Array.isArray(v)) return v.map(plain);
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const q = JSON.parse(line);
  const type = avro.Type.forSchema(q.schema, { registry: { long }, wrapUnions: true });
  console.log(JSON.stringify(plain(type.fromBuffer(Buffer.from(q.body, 'hex')))));
});
