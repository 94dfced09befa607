import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads topics with Kafka's own client, fetches schemas from the hub's registry by plain HTTP and
 * decodes with Apache Avro's own classes. The argument and what is printed are those of consume.py.
 */
public final class Consume {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final Map<Integer, Schema> schemas = new HashMap<>();
  private final JsonNode config;
  private final HttpClient http;

  private Consume(JsonNode config) throws Exception {
    this.config = config;
    this.http = HttpClient.newBuilder().sslContext(tls()).build();
  }

  public static void main(String[] args) throws Exception {
    new Consume(JSON.readTree(new File(args[0]))).run();
  }

  private void run() throws Exception {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    Properties p = new Properties();
    p.put("bootstrap.servers", config.get("brokers").asText());
    p.put("isolation.level", "read_committed");
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> all = new ArrayList<>();
      for (JsonNode topic : config.get("topics")) {
        consumer.partitionsFor(topic.asText()).forEach(i -> all.add(new TopicPartition(i.topic(), i.partition())));
      }
      consumer.assign(all);
      consumer.seekToBeginning(all);
      long deadline = System.nanoTime() + Duration.ofMinutes(1).toNanos();
      for (int left = config.get("records").asInt(); left > 0; ) {
        if (System.nanoTime() > deadline) {
          throw new IllegalStateException("no record within a minute");
        }
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofSeconds(1))) {
          ObjectNode line = JSON.createObjectNode();
          line.put("topic", r.topic()).put("partition", r.partition()).put("offset", r.offset());
          line.set("value", plain(decode(r.value())));
          out.println(line);
          left--;
          deadline = System.nanoTime() + Duration.ofMinutes(1).toNanos();
        }
      }
    }
    out.flush();
  }

  /** The frame is a zero byte and the schema's id, four bytes, big-endian; then the Avro body. */
  private GenericRecord decode(byte[] value) throws Exception {
    ByteBuffer frame = ByteBuffer.wrap(value);
    if (frame.get() != 0) {
      throw new IllegalStateException("no frame");
    }
    Schema schema = schema(frame.getInt());
    return new GenericDatumReader<GenericRecord>(schema)
        .read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
  }

  private Schema schema(int id) throws Exception {
    Schema known = schemas.get(id);
    if (known != null) {
      return known;
    }
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(config.get("registry").asText() + "/schemas/ids/" + id + "?fetchMaxId=false"))
            .header("Accept", "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json");
    if (config.has("token")) {
      request.header("Authorization", "Bearer " + config.get("token").asText());
    }
    HttpResponse<String> answer = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 200) {
      throw new IllegalStateException(answer.statusCode() + ": " + answer.body());
    }
    Schema schema = new Schema.Parser().parse(JSON.readTree(answer.body()).get("schema").asText());
    schemas.put(id, schema);
    return schema;
  }

  private static JsonNode plain(Object v) {
    if (v == null) {
      return JSON.nullNode();
    } else if (v instanceof IndexedRecord r) {
      ObjectNode out = JSON.createObjectNode();
      for (Schema.Field f : r.getSchema().getFields()) {
        out.set(f.name(), plain(r.get(f.pos())));
      }
      return out;
    } else if (v instanceof List<?> l) {
      ArrayNode out = JSON.createArrayNode();
      l.forEach(x -> out.add(plain(x)));
      return out;
    } else if (v instanceof ByteBuffer b) {
      byte[] bytes = new byte[b.remaining()];
      b.duplicate().get(bytes);
      StringBuilder hex = new StringBuilder();
      for (byte x : bytes) {
        hex.append(String.format("%02x", x));
      }
      return JSON.createObjectNode().put("hex", hex.toString());
    } else if (v instanceof Integer || v instanceof Long || v instanceof Boolean) {
      return JSON.valueToTree(v);
    }
    return JSON.getNodeFactory().textNode(v.toString());
  }

  private SSLContext tls() throws Exception {
    CertificateFactory x509 = CertificateFactory.getInstance("X.509");
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    int n = 0;
    for (Certificate c : x509.generateCertificates(new ByteArrayInputStream(read("ca")))) {
      trusted.setCertificateEntry("ca" + n++, c);
    }
    String pem = new String(read("key"), StandardCharsets.US_ASCII).replaceAll("-----[^-]*-----|\\s", "");
    PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
    PrivateKey key;
    try {
      key = KeyFactory.getInstance("EC").generatePrivate(spec);
    } catch (java.security.spec.InvalidKeySpecException e) {
      key = KeyFactory.getInstance("Ed25519").generatePrivate(spec);
    }
    Certificate[] chain =
        x509.generateCertificates(new ByteArrayInputStream(read("certificate"))).toArray(new Certificate[0]);
    KeyStore own = KeyStore.getInstance("PKCS12");
    own.load(null, null);
    own.setKeyEntry("own", key, new char[0], chain);
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, new char[0]);
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return tls;
  }

  private byte[] read(String name) throws Exception {
    return Files.readAllBytes(Path.of(config.get(name).asText()));
  }
}
