import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;

/**
 * What Apache Avro's own library says of pairs of schemas. Reads lines {"writer": …, "reader": …}
 * and answers each with a line: whether the reader reads the writer, why not, and the writer's
 * canonical form and fingerprints.
 */
public final class AvroOracle {
  public static void main(String[] args) throws Exception {
    ObjectMapper json = new ObjectMapper();
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      JsonNode pair = json.readTree(line);
      ObjectNode answer = json.createObjectNode();
      try {
        Schema writer = new Schema.Parser().parse(pair.get("writer").toString());
        Schema reader = new Schema.Parser().parse(pair.get("reader").toString());
        SchemaCompatibility.SchemaPairCompatibility c =
            SchemaCompatibility.checkReaderWriterCompatibility(reader, writer);
        answer.put("compatible", c.getType() == SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE);
        answer.put("why", c.getResult().getIncompatibilities().toString());
        answer.put("canonical", SchemaNormalization.toParsingForm(writer));
        answer.put("crc64", String.format("%016x", SchemaNormalization.parsingFingerprint64(writer)));
        answer.put("md5", hex(SchemaNormalization.parsingFingerprint("MD5", writer)));
        answer.put("sha256", hex(SchemaNormalization.parsingFingerprint("SHA-256", writer)));
      } catch (RuntimeException e) {
        answer.put("error", e.toString());
      }
      out.println(answer);
    }
    out.flush();
  }

  private static String hex(byte[] b) {
    return String.format("%0" + 2 * b.length + "x", new BigInteger(1, b));
  }
}
