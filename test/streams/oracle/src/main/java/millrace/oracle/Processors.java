package millrace.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.SessionWindow;
import org.apache.kafka.streams.processor.Cancellable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.state.*;

/** The processors that cases are made of; processors.ts has the same. */
final class Processors {
  private Processors() {}

  /** What a processor does to a record, be its key fixed or not. */
  private interface Out {
    void forward(Object key, Object value, long timestamp, Headers headers);
  }

  private static final class Work {
    final String by;
    final long size;
    final ProcessingContext context;
    final StateStore store;

    Work(JsonNode step, String[] names, Map<String, JsonNode> declarations, ProcessingContext context) {
      by = step.get("by").asText();
      this.context = context;
      store = names.length == 0 ? null : context.getStateStore(names[0]);
      JsonNode declaration = names.length == 0 ? null : declarations.get(step.get("stores").get(0).asText());
      size = declaration != null && declaration.has("size") ? declaration.get("size").asLong() : 0;
    }

    KeyValueStore<Object, Object> rows() {
      return (KeyValueStore<Object, Object>) store;
    }

    void process(Object key, Object value, long timestamp, Headers headers, Out out) {
      switch (by) {
        case "count" -> {
          if (key == null) {
            out.forward(null, "nobody", timestamp, headers);
            return;
          }
          long n = Vocabulary.number(rows().get(Vocabulary.text(key))) + 1;
          rows().put(Vocabulary.text(key), n);
          out.forward(key, n, timestamp, headers);
        }
        case "changes" -> {
          if (key == null) return;
          Object old = value == null ? rows().delete(Vocabulary.text(key)) : rows().get(Vocabulary.text(key));
          if (value != null) rows().put(Vocabulary.text(key), value);
          if (!Vocabulary.text(old).equals(Vocabulary.text(value))) out.forward(key, value, timestamp, headers);
        }
        case "neighbours" -> {
          rows().put(Vocabulary.text(key), value);
          StringBuilder found = new StringBuilder();
          try (KeyValueIterator<Object, Object> rows = rows().range("a", "c")) {
            while (rows.hasNext()) found.append(rows.next().key);
          }
          found.append("|");
          try (KeyValueIterator<Object, Object> rows = rows().reverseAll()) {
            while (rows.hasNext()) found.append(rows.next().key);
          }
          out.forward(key, Vocabulary.cut(found.toString()), timestamp, headers);
        }
        case "prefix" -> {
          rows().put(Vocabulary.text(key) + Vocabulary.text(value), value);
          // A prefix of no bytes has no end in Kafka (Bytes.increment).
          String prefix = Vocabulary.text(key).isEmpty() ? "a" : Vocabulary.text(key);
          StringBuilder found = new StringBuilder();
          try (KeyValueIterator<Object, Object> rows = rows().prefixScan(prefix, new org.apache.kafka.common.serialization.StringSerializer()::serialize)) {
            while (rows.hasNext()) found.append(rows.next().key).append(";");
          }
          out.forward(key, Vocabulary.cut(found.toString()), timestamp, headers);
        }
        case "where" -> {
          RecordMetadata from = context.recordMetadata().orElse(null);
          String topic = from == null || from.topic() == null ? "none" : from.topic().startsWith("oracle-") ? "internal" : from.topic();
          out.forward(key, topic + ":" + (from == null ? -1 : from.partition()) + ":" + (from == null ? -1 : from.offset()) + ":" + timestamp + ":" + headers.toArray().length, timestamp, headers);
        }
        case "times" -> out.forward(key, context.currentStreamTimeMs() + "/" + context.currentSystemTimeMs(), timestamp, headers);
        case "later" -> {
          Headers more = new RecordHeaders(headers).add("p", "1".getBytes(StandardCharsets.UTF_8));
          out.forward(key, value, timestamp + 10, more);
        }
        case "twice" -> {
          out.forward(key, value, timestamp, headers);
          out.forward(key, Vocabulary.number(value), timestamp, headers);
        }
        case "windowSum" -> {
          WindowStore<Object, Object> windows = (WindowStore<Object, Object>) store;
          String row = Vocabulary.text(key);
          long start = timestamp / size * size;
          windows.put(row, (Vocabulary.number(windows.fetch(row, start)) + Vocabulary.number(value)) % Vocabulary.MODULUS, start);
          StringBuilder found = new StringBuilder();
          try (WindowStoreIterator<Object> rows = windows.fetch(row, java.time.Instant.ofEpochMilli(Math.max(0, timestamp - 10)), java.time.Instant.ofEpochMilli(timestamp))) {
            while (rows.hasNext()) {
              KeyValue<Long, Object> each = rows.next();
              found.append(each.key).append("=").append(each.value).append(" ");
            }
          }
          try (KeyValueIterator<Windowed<Object>, Object> rows = windows.all()) {
            while (rows.hasNext()) found.append(rows.next().key.key());
          }
          out.forward(key, Vocabulary.cut(found.toString()), timestamp, headers);
        }
        case "windowsNear" -> {
          WindowStore<Object, Object> windows = (WindowStore<Object, Object>) store;
          windows.put(Vocabulary.text(key), value, timestamp);
          StringBuilder found = new StringBuilder();
          try (KeyValueIterator<Windowed<Object>, Object> rows = windows.fetchAll(java.time.Instant.ofEpochMilli(Math.max(0, timestamp - 6)), java.time.Instant.ofEpochMilli(timestamp + 2))) {
            while (rows.hasNext()) {
              KeyValue<Windowed<Object>, Object> each = rows.next();
              found.append(each.key.key()).append(each.key.window().start()).append(";");
            }
          }
          out.forward(key, Vocabulary.cut(found.toString()), timestamp, headers);
        }
        case "sessions" -> {
          SessionStore<Object, Object> sessions = (SessionStore<Object, Object>) store;
          String row = Vocabulary.text(key);
          Windowed<Object> session = new Windowed<>(row, new SessionWindow(timestamp / 5 * 5, timestamp / 5 * 5 + 3));
          sessions.put(session, value == null ? null : Vocabulary.number(value));
          long n = 0, sum = 0;
          try (KeyValueIterator<Windowed<Object>, Object> rows = sessions.findSessions(row, Math.max(0, timestamp - 7), timestamp)) {
            while (rows.hasNext()) {
              n++;
              sum += rows.next().key.window().start();
            }
          }
          out.forward(key, n + "/" + sum, timestamp, headers);
        }
        default -> throw new IllegalArgumentException("no processor " + by);
      }
    }
  }

  static ProcessorSupplier<Object, Object, Object, Object> of(JsonNode step, String[] names, Map<String, JsonNode> declarations) {
    String by = step.get("by").asText();
    if (by.equals("collect")) return () -> new Collect(step, names);
    if (by.equals("alarm")) return () -> new Alarm(step);
    return () -> new Processor<>() {
      private ProcessorContext<Object, Object> context;
      private Work work;

      @Override
      public void init(ProcessorContext<Object, Object> context) {
        this.context = context;
        work = new Work(step, names, declarations, context);
      }

      @Override
      public void process(org.apache.kafka.streams.processor.api.Record<Object, Object> record) {
        if (by.equals("rekey")) {
          context.forward(record.withKey("r").withValue(record.value()));
          context.forward(record.withKey(null));
          return;
        }
        work.process(record.key(), record.value(), record.timestamp(), record.headers(),
            (key, value, timestamp, headers) -> context.forward(new org.apache.kafka.streams.processor.api.Record<>(key, value, timestamp, headers)));
      }
    };
  }

  static FixedKeyProcessorSupplier<Object, Object, Object> fixedKey(JsonNode step, String[] names, Map<String, JsonNode> declarations) {
    return () -> new FixedKeyProcessor<>() {
      private FixedKeyProcessorContext<Object, Object> context;
      private Work work;

      @Override
      public void init(FixedKeyProcessorContext<Object, Object> context) {
        this.context = context;
        work = new Work(step, names, declarations, context);
      }

      @Override
      public void process(FixedKeyRecord<Object, Object> record) {
        work.process(record.key(), record.value(), record.timestamp(), record.headers(),
            (key, value, timestamp, headers) -> context.forward(record.withValue(value).withTimestamp(timestamp).withHeaders(headers)));
      }
    };
  }

  /** An even value sets the alarm anew, an odd one does nothing to it. */
  private static final class Alarm implements Processor<Object, Object, Object, Object> {
    private final JsonNode step;
    private ProcessorContext<Object, Object> context;
    private Cancellable schedule;

    Alarm(JsonNode step) {
      this.step = step;
    }

    @Override
    public void init(ProcessorContext<Object, Object> context) {
      this.context = context;
    }

    @Override
    public void process(org.apache.kafka.streams.processor.api.Record<Object, Object> record) {
      context.forward(record.withKey((Object) Vocabulary.text(record.key())));
      if (Vocabulary.number(record.value()) % 2 != 0) return;
      if (schedule != null) schedule.cancel();
      PunctuationType type = step.get("time").asText().equals("stream time") ? PunctuationType.STREAM_TIME : PunctuationType.WALL_CLOCK_TIME;
      schedule = context.schedule(Duration.ofMillis(step.get("every").asLong()), type,
          timestamp -> context.forward(new org.apache.kafka.streams.processor.api.Record<>("alarm", timestamp, timestamp)));
    }
  }

  /** Keeps the last value of each key and forwards them all at each punctuation; after three it stops. */
  private static final class Collect implements Processor<Object, Object, Object, Object> {
    private final JsonNode step;
    private final String name;
    private ProcessorContext<Object, Object> context;
    private Cancellable schedule;
    private int times;

    Collect(JsonNode step, String[] names) {
      this.step = step;
      name = names[0];
    }

    @Override
    public void init(ProcessorContext<Object, Object> context) {
      this.context = context;
      PunctuationType type = step.get("time").asText().equals("stream time") ? PunctuationType.STREAM_TIME : PunctuationType.WALL_CLOCK_TIME;
      schedule = context.schedule(Duration.ofMillis(step.get("every").asLong()), type, this::punctuate);
    }

    private void punctuate(long timestamp) {
      KeyValueStore<Object, Object> rows = context.getStateStore(name);
      List<KeyValue<Object, Object>> all = new ArrayList<>();
      try (KeyValueIterator<Object, Object> each = rows.all()) {
        each.forEachRemaining(all::add);
      }
      context.forward(new org.apache.kafka.streams.processor.api.Record<>("time", timestamp, timestamp));
      for (KeyValue<Object, Object> row : all) {
        context.forward(new org.apache.kafka.streams.processor.api.Record<>(row.key, row.value, timestamp));
        rows.delete(row.key);
      }
      if (++times == 3 && step.has("stops")) schedule.cancel();
    }

    @Override
    public void process(org.apache.kafka.streams.processor.api.Record<Object, Object> record) {
      KeyValueStore<Object, Object> rows = context.getStateStore(name);
      rows.put(Vocabulary.text(record.key()), record.value());
    }
  }
}
