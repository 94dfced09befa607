// kafkajs, as the other side of the live interoperability test.
//
// client.js read BROKERS TOPIC COUNT     print COUNT committed records, a JSON object a line
// client.js write BROKERS TOPIC COUNT    for each codec: COUNT records in a transaction that is
//                                        aborted, then COUNT in one that is committed; not
//                                        with LZ4, whose linked blocks of lz4js brokers refuse
"use strict";
const { Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel } = require("kafkajs");
const lz4 = require("lz4js");
const zstd = require("@bokuweb/zstd-wasm");

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async () => Promise.reject(new Error("lz4js links its blocks")),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
});
const codecs = { none: "None", gzip: "GZIP", snappy: "Snappy", zstd: "ZSTD" };

const text = (value) => (value === null || value === undefined ? null : value.toString());

async function read(kafka, topic, count) {
  const consumer = kafka.consumer({ groupId: `${topic}-kafkajs`, readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let left = count;
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no more records come")), 120000).unref();
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        const headers = Object.entries(message.headers || {}).map(([k, v]) => [k, text(v)]);
        console.log(JSON.stringify({ partition, offset: Number(message.offset), key: text(message.key), value: text(message.value), headers }));
        left -= 1;
        if (left === 0) resolve();
      },
    });
  });
  await consumer.disconnect();
}

async function write(kafka, topic, count) {
  for (const [codec, name] of Object.entries(codecs)) {
    const producer = kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      transactionalId: `${topic}-${codec}`,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    for (const end of ["abort", "commit"]) {
      const transaction = await producer.transaction();
      const messages = Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: `${end}/${codec}/${i}`, headers: { h: "1", n: "" } }));
      await transaction.send({ topic, compression: CompressionTypes[name], messages });
      await transaction[end]();
    }
    await producer.disconnect();
  }
}

const [, , verb, brokers, topic, count] = process.argv;
const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.ERROR, retry: { retries: 10 } });
zstd
  .init()
  .then(() => ({ read, write })[verb](kafka, topic, Number(count)))
  .then(() => process.exit(0))
  .catch((err) => {
    console.error(err);
    process.exit(1);
  });
