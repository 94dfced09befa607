// Writes or reads Avro container files with avsc; as container.py, with the
// directory of the modules in front. avsc knows the codecs null and deflate.
import { createRequire } from 'node:module';
import { createReadStream } from 'node:fs';
import path from 'node:path';

const [modules, command, ...files] = process.argv.slice(2);
const avro = createRequire(path.join(modules, 'node_modules', 'index.js'))('avsc');

if (command === 'write') {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  const { schema, records } = JSON.parse(text);
  for (let i = 0; i < files.length; i += 2) {
    const encoder = avro.createFileEncoder(files[i], schema, { codec: files[i + 1] });
    for (const r of records) encoder.write({ ...r, b: Buffer.from(r.b, 'hex') });
    encoder.end();
  }
} else {
  for (const file of files) {
    const out = [];
    for await (const r of createReadStream(file).pipe(new avro.streams.BlockDecoder())) {
      out.push({ n: r.n, s: r.s, b: Buffer.from(r.b).toString('hex') });
    }
    console.log(JSON.stringify(out));
  }
}
