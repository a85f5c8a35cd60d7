package millrace.oracle;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Times what bench/measures/streams-driver.ts times. Reads lines of `count` or `windows`, each of which is one round, and writes
 * its milliseconds; arguments: the number of records, the number of keys, the size of a window, `cpu` for the thread's own time.
 */
public final class Bench {
  private final int records;
  private final long sizeMs;
  private final boolean cpu;
  private final String[] customers;
  private final String[] keys;

  private Bench(String[] arguments) {
    records = Integer.parseInt(arguments[0]);
    int distinct = Integer.parseInt(arguments[1]);
    sizeMs = Long.parseLong(arguments[2]);
    cpu = arguments.length > 3 && arguments[3].equals("cpu");
    customers = new String[distinct];
    keys = new String[distinct];
    for (int i = 0; i < distinct; i++) {
      customers[i] = "customer-" + i;
      keys[i] = "order-" + i;
    }
  }

  public static void main(String[] arguments) throws Exception {
    Bench bench = new Bench(arguments);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      System.out.println(bench.round(line.equals("count") ? bench.count() : bench.windows()));
    }
  }

  private Topology count() {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream("orders", Consumed.with(Serdes.String(), Serdes.Long()))
        .groupBy((key, id) -> customers[(int) (id % customers.length)], Grouped.with(Serdes.String(), Serdes.Long()))
        .count();
    return builder.build(properties());
  }

  private Topology windows() {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream("orders", Consumed.with(Serdes.String(), Serdes.Long()))
        .groupByKey(Grouped.with(Serdes.String(), Serdes.Long()))
        .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMillis(sizeMs)))
        .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>with(Serdes.String(), Serdes.Long())
            .withRetention(Duration.ofDays(1)));
    return builder.build(properties());
  }

  private static Properties properties() {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench");
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "none:0");
    properties.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/millrace-oracle");
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    properties.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.NO_OPTIMIZATION);
    properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG,
        org.apache.kafka.streams.state.BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
    return properties;
  }

  private double round(Topology topology) {
    System.gc();
    try (TopologyTestDriver driver = new TopologyTestDriver(topology, properties(), Instant.EPOCH)) {
      TestInputTopic<String, Long> orders =
          driver.createInputTopic("orders", new StringSerializer(), new LongSerializer());
      long start = now();
      for (int i = 0; i < records; i++) orders.pipeInput(keys[i % keys.length], (long) i, (long) i);
      return (now() - start) / 1e6;
    }
  }

  private long now() {
    return cpu ? ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() : System.nanoTime();
  }
}
