package millrace.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.test.TestRecord;

/** Reads cases, one JSON line each, and writes for each a line of what Kafka Streams makes of it. */
public final class Main {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final KeySerde KEY = new KeySerde();
  private static final AnySerde VALUE = new AnySerde();

  private Main() {}

  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      if (line.isBlank()) continue;
      out.println(JSON.writeValueAsString(answer(JSON.readTree(line))));
      out.flush();
    }
  }

  /** A case that is none, as shrinking makes some: keys in windows at a sink, say. */
  private static JsonNode answer(JsonNode given) {
    try {
      return play(given);
    } catch (ClassCastException error) {
      return JSON.createObjectNode().set("error", error("oracle", error));
    }
  }

  private static Properties properties() {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "oracle");
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:0");
    properties.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/millrace-oracle");
    properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, KeySerde.class);
    properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, AnySerde.class);
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    properties.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.NO_OPTIMIZATION);
    properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
        org.apache.kafka.streams.state.BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
    return properties;
  }

  private static JsonNode play(JsonNode given) {
    ObjectNode found = JSON.createObjectNode();
    Properties properties = properties();
    Program program = new Program(new StreamsConfig(properties), false);
    Topology topology;
    TopologyTestDriver driver;
    try {
      topology = program.build(given.get("steps"), properties);
      Program plain = new Program(new StreamsConfig(properties), true);
      // A lambda that picks a topic prints with a name that differs from run to run.
      found.put("describe", plain.build(given.get("steps"), properties).describe().toString()
          .replaceAll("\\(extractor class: .*?\\)\n", "(extractor class: ...)\n"));
      driver = new TopologyTestDriver(topology, properties, Instant.ofEpochMilli(given.get("startMs").asLong()));
    } catch (Exception error) {
      return found.set("error", error("build", error));
    }
    Map<String, ArrayNode> outputs = new TreeMap<>();
    try {
      int step = 0;
      for (JsonNode input : given.get("input")) {
        program.at = step;
        try {
          feed(driver, input);
        } catch (Exception error) {
          found.set("error", error(Integer.toString(step), error));
          break;
        }
        drain(driver, step++, outputs);
      }
      ObjectNode records = found.putObject("records");
      outputs.forEach(records::set);
      ArrayNode seen = found.putArray("seen");
      for (Object[] each : program.seen) {
        if ((int) each[0] < step) seen.addArray().add((int) each[0]).add((String) each[1]).add((String) each[2]).add(value(each[3]));
      }
      if (!found.has("error")) {
        ObjectNode stores = found.putObject("stores");
        program.stores.forEach((id, name) -> {
          StateStore store = driver.getAllStateStores().get(name);
          if (store != null) stores.set(id, rows(store));
        });
      }
    } finally {
      try {
        driver.close();
      } catch (Exception error) {
        // After a callback has thrown, the driver can't always be closed.
      }
    }
    return found;
  }

  private static ObjectNode error(String at, Exception error) {
    Throwable cause = error;
    while (cause.getCause() != null) cause = cause.getCause();
    String message = String.valueOf(cause.getMessage());
    return JSON.createObjectNode().put("at", at).put("type", cause.getClass().getSimpleName())
        .put("message", message.substring(0, Math.min(200, message.length())));
  }

  private static void feed(TopologyTestDriver driver, JsonNode input) {
    if (input.has("wall")) {
      driver.advanceWallClockTime(Duration.ofMillis(input.get("wall").asLong()));
      return;
    }
    RecordHeaders headers = new RecordHeaders();
    if (input.has(4)) {
      for (JsonNode header : input.get(4)) headers.add(header.get(0).asText(), header.get(1).asText().getBytes(StandardCharsets.UTF_8));
    }
    TestInputTopic<Object, Object> topic = driver.createInputTopic(input.get(0).asText(), KEY.serializer(), VALUE.serializer());
    Object key = input.get(1).isNull() ? null : input.get(1).asText();
    JsonNode value = input.get(2);
    Object content = value.isNull() ? null : value.isNumber() ? (Object) value.asLong() : value.asText();
    topic.pipeInput(new TestRecord<>(key, content, headers, input.get(3).asLong()));
  }

  /** What has been written to topics that are not the application's own. */
  private static void drain(TopologyTestDriver driver, int step, Map<String, ArrayNode> outputs) {
    for (String name : new TreeSet<>(driver.producedTopicNames())) {
      if (name.startsWith("oracle-")) continue;
      TestOutputTopic<Object, Object> topic = driver.createOutputTopic(name, KEY.deserializer(), VALUE.deserializer());
      for (TestRecord<Object, Object> record : topic.readRecordsToList()) {
        ArrayNode row = outputs.computeIfAbsent(name, each -> JSON.createArrayNode()).addArray();
        row.add(step).add((String) record.key()).add(value(record.value())).add(record.timestamp());
        if (record.headers().toArray().length == 0) continue;
        ArrayNode headers = row.addArray();
        for (Header header : record.headers()) headers.addArray().add(header.key()).add(new String(header.value(), StandardCharsets.UTF_8));
      }
    }
  }

  private static JsonNode value(Object value) {
    return JSON.valueToTree(value);
  }

  private static ArrayNode rows(StateStore store) {
    ArrayNode rows = JSON.createArrayNode();
    try (KeyValueIterator<Object, Object> each = all(store)) {
      while (each.hasNext()) {
        var row = each.next();
        Object value = row.value instanceof ValueAndTimestamp<?> stamped ? stamped.value() : row.value;
        rows.addArray().add(Vocabulary.text(row.key)).add(value(value));
      }
    }
    return rows;
  }

  @SuppressWarnings("unchecked")
  private static KeyValueIterator<Object, Object> all(StateStore store) {
    if (store instanceof KeyValueStore<?, ?> rows) return ((KeyValueStore<Object, Object>) rows).all();
    if (store instanceof WindowStore<?, ?> windows) return (KeyValueIterator<Object, Object>) (KeyValueIterator<?, ?>) ((WindowStore<Object, Object>) windows).all();
    return (KeyValueIterator<Object, Object>) (KeyValueIterator<?, ?>) ((SessionStore<Object, Object>) store).fetch(null, null);
  }
}
