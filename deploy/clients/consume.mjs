// Reads topics with kafkajs and decodes them by the hub's schema registry.
//
//   node consume.mjs CONFIG confluentinc|kafkajs
//
// CONFIG and what is printed are those of consume.py. The second argument names
// the registry client: @confluentinc/schemaregistry or @kafkajs/confluent-schema-registry.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const require = createRequire(path.join(config.modules, 'node_modules', 'index.js'));
const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs');
const { decompress } = require('fzstd');

// Connectors compress with zstandard, which kafkajs leaves to a codec of one's own.
CompressionCodecs[CompressionTypes.ZSTD] = () => ({ decompress: async (batch) => Buffer.from(decompress(batch)) });

const tls = { ca: readFileSync(config.ca), cert: readFileSync(config.certificate), key: readFileSync(config.key) };

function decoder(name) {
  if (name === 'kafkajs') {
    const { SchemaRegistry } = require('@kafkajs/confluent-schema-registry');
    const registry = new SchemaRegistry({
      host: config.registry,
      agent: new https.Agent(tls),
      ...(config.token && { auth: { username: 'token', password: config.token } }), // it knows only Basic
    });
    return (topic, value) => registry.decode(value);
  }
  const { AvroDeserializer, SchemaRegistryClient, SerdeType } = require('@confluentinc/schemaregistry');
  const client = new SchemaRegistryClient({
    baseURLs: [config.registry],
    createAxiosDefaults: { httpsAgent: new https.Agent(tls) },
    ...(config.token && { basicAuthCredentials: { credentialsSource: 'USER_INFO', userInfo: `token:${config.token}` } }),
  });
  const deserializer = new AvroDeserializer(client, SerdeType.VALUE, {});
  return (topic, value) => deserializer.deserialize(topic, value);
}

function plain(v) {
  if (Buffer.isBuffer(v)) return { hex: v.toString('hex') };
  if (Array.isArray(v)) return v.map(plain);
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([name, x]) => [name, plain(x)]));
  return v;
}

const decode = decoder(process.argv[3]);
const kafka = new Kafka({ clientId: 'live', brokers: config.brokers.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `live-${process.argv[3]}` });
await consumer.connect();
await consumer.subscribe({ topics: config.topics, fromBeginning: true });
let left = config.records;
await new Promise((resolve, reject) => {
  consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      try {
        const value = plain(await decode(topic, message.value));
        console.log(JSON.stringify({ topic, partition, offset: Number(message.offset), value }));
        if (--left === 0) resolve();
      } catch (e) {
        reject(e);
      }
    },
  }).catch(reject);
}).catch((e) => {
  console.error(e);
  process.exitCode = 1;
});
await consumer.disconnect();
