import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.file.CodecFactory;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.file.DataFileWriter;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;

/**
 * Writes or reads Avro container files with Apache Avro's own classes; as container.py.
 */
public final class Container {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws Exception {
    if (args[0].equals("write")) {
      JsonNode given = JSON.readTree(System.in);
      for (int i = 1; i < args.length; i += 2) {
        write(given, new File(args[i]), args[i + 1]);
      }
      return;
    }
    for (int i = 1; i < args.length; i++) {
      System.out.println(read(new File(args[i])));
    }
  }

  private static void write(JsonNode given, File file, String codec) throws Exception {
    Schema schema = new Schema.Parser().parse(given.get("schema").toString());
    try (DataFileWriter<GenericRecord> w = new DataFileWriter<>(new GenericDatumWriter<>(schema))) {
      w.setCodec(CodecFactory.fromString(codec));
      w.setSyncInterval(4096); // several blocks
      w.create(schema, file);
      for (JsonNode r : given.get("records")) {
        GenericRecord record = new GenericData.Record(schema);
        record.put("n", r.get("n").asLong());
        record.put("s", r.get("s").isNull() ? null : r.get("s").asText());
        record.put("b", ByteBuffer.wrap(HexFormat.of().parseHex(r.get("b").asText())));
        w.append(record);
      }
    }
  }

  private static ArrayNode read(File file) throws Exception {
    ArrayNode out = JSON.createArrayNode();
    try (DataFileReader<GenericRecord> r = new DataFileReader<>(file, new GenericDatumReader<>())) {
      for (GenericRecord record : r) {
        byte[] b = new byte[((ByteBuffer) record.get("b")).remaining()];
        ((ByteBuffer) record.get("b")).get(b);
        Object s = record.get("s");
        out.addObject().put("n", (Long) record.get("n")).put("s", s == null ? null : s.toString()).put("b", HexFormat.of().formatHex(b));
      }
    }
    return out;
  }
}
