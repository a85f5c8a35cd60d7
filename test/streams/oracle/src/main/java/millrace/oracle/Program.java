package millrace.oracle;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyConfig;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** Builds a case's topology with the DSL of Kafka Streams, step by step. */
@SuppressWarnings({"unchecked", "rawtypes"})
final class Program {
  static final long DAY = 86_400_000L;
  private static final Serde<Object> KEY = new KeySerde(), VALUE = new AnySerde();

  /** What each step made, by its id; the branches of a split by `<id>.<branch>`. */
  private final Map<String, Object> made = new HashMap<>();
  /** The stores that have a name, by the id of their step. */
  final Map<String, String> stores = new LinkedHashMap<>();
  private final Map<String, StoreBuilder<?>> declared = new HashMap<>();
  private final Map<String, JsonNode> declarations = new HashMap<>();
  private final Set<StoreBuilder<?>> added = new java.util.HashSet<>();
  /** What peek and forEach saw: step of the input, id, key, value. */
  final List<Object[]> seen = new ArrayList<>();
  int at = -1;
  private final StreamsBuilder builder;
  private final boolean plain;

  /**
   * A plain one is built as a user would write it: no Materialized where a step names neither store nor retention. Some of
   * Kafka's methods use up a number for one that is given. What is run always has our default retention, which needs one.
   */
  Program(StreamsConfig config, boolean plain) {
    builder = new StreamsBuilder(new TopologyConfig(config));
    this.plain = plain;
  }

  private boolean isBare(JsonNode step) {
    return plain && !step.has("store") && !step.has("retention");
  }

  Topology build(JsonNode steps, java.util.Properties properties) {
    for (JsonNode step : steps) {
      Object result = make(step);
      if (result != null) made.put(id(step), result);
      if (step.has("store")) stores.put(id(step), step.get("store").asText());
    }
    return builder.build(properties);
  }

  private static String id(JsonNode step) {
    return step.get("id").asText();
  }

  private static String text(JsonNode step, String field) {
    return step.hasNonNull(field) ? step.get(field).asText() : null;
  }

  private static Duration ms(JsonNode of, String field) {
    return Duration.ofMillis(of.get(field).asLong());
  }

  private KStream<Object, Object> stream(JsonNode step, String field) {
    return (KStream<Object, Object>) made.get(step.get(field).asText());
  }

  private KTable<Object, Object> table(JsonNode step, String field) {
    return (KTable<Object, Object>) made.get(step.get(field).asText());
  }

  private static Named named(JsonNode step) {
    return step.hasNonNull("name") ? Named.as(text(step, "name")) : null;
  }

  private Object make(JsonNode step) {
    String by = text(step, "by"), name = text(step, "name"), id = id(step);
    Named named = named(step);
    switch (step.get("op").asText()) {
      case "stream": {
        Consumed<Object, Object> consumed = Consumed.with(KEY, VALUE);
        if (name != null) consumed = consumed.withName(name);
        String timestamp = text(step, "timestamp");
        if (timestamp != null) {
          consumed = consumed.withTimestampExtractor((record, time) -> Vocabulary.timestamp(timestamp, record.value(), record.timestamp()));
        }
        List<String> topics = new ArrayList<>();
        step.get("topics").forEach(topic -> topics.add(topic.asText()));
        return topics.size() == 1 ? builder.stream(topics.get(0), consumed) : builder.stream(topics, consumed);
      }
      case "table": {
        Consumed<Object, Object> consumed = Consumed.with(KEY, VALUE);
        if (name != null) consumed = consumed.withName(name);
        return isBare(step) ? builder.table(text(step, "topic"), consumed) : builder.table(text(step, "topic"), consumed, store(step));
      }
      case "globalTable":
        return step.has("store") ? builder.globalTable(text(step, "topic"), Consumed.with(KEY, VALUE), store(step))
            : builder.globalTable(text(step, "topic"), Consumed.with(KEY, VALUE));
      case "store":
        declared.put(id, storeBuilder(step));
        declarations.put(id, step);
        return null;
      case "filter": {
        Predicate<Object, Object> accept = (k, v) -> Vocabulary.accepts(by, k, v);
        return named == null ? stream(step, "of").filter(accept) : stream(step, "of").filter(accept, named);
      }
      case "filterNot": {
        Predicate<Object, Object> reject = (k, v) -> Vocabulary.accepts(by, k, v);
        return named == null ? stream(step, "of").filterNot(reject) : stream(step, "of").filterNot(reject, named);
      }
      case "mapValues": {
        ValueMapperWithKey<Object, Object, Object> map = (k, v) -> Vocabulary.map(by, k, v);
        return named == null ? stream(step, "of").mapValues(map) : stream(step, "of").mapValues(map, named);
      }
      case "flatMapValues": {
        ValueMapperWithKey<Object, Object, Iterable<Object>> map = (k, v) -> Vocabulary.many(by, k, v);
        return named == null ? stream(step, "of").flatMapValues(map) : stream(step, "of").flatMapValues(map, named);
      }
      case "map": {
        String key = text(step, "key");
        KeyValueMapper<Object, Object, KeyValue<Object, Object>> map =
            (k, v) -> KeyValue.pair(Vocabulary.key(key, k, v), Vocabulary.map(by, k, v));
        return named == null ? stream(step, "of").map(map) : stream(step, "of").map(map, named);
      }
      case "flatMap": {
        KeyValueMapper<Object, Object, Iterable<KeyValue<Object, Object>>> map = (k, v) -> Vocabulary.pairs(by, k, v);
        return named == null ? stream(step, "of").flatMap(map) : stream(step, "of").flatMap(map, named);
      }
      case "selectKey": {
        String key = text(step, "key");
        KeyValueMapper<Object, Object, Object> map = (k, v) -> Vocabulary.key(key, k, v);
        return named == null ? stream(step, "of").selectKey(map) : stream(step, "of").selectKey(map, named);
      }
      case "peek": {
        ForeachAction<Object, Object> look = (k, v) -> seen.add(new Object[] {at, id, key(k), v});
        return named == null ? stream(step, "of").peek(look) : stream(step, "of").peek(look, named);
      }
      case "forEach": {
        ForeachAction<Object, Object> act = (k, v) -> seen.add(new Object[] {at, id, key(k), v});
        if (named == null) stream(step, "of").foreach(act); else stream(step, "of").foreach(act, named);
        return null;
      }
      case "merge":
        return named == null ? stream(step, "of").merge(stream(step, "with")) : stream(step, "of").merge(stream(step, "with"), named);
      case "split": {
        BranchedKStream<Object, Object> branches = named == null ? stream(step, "of").split() : stream(step, "of").split(named);
        List<String> names = new ArrayList<>();
        for (JsonNode branch : step.get("branches")) {
          String predicate = branch.get(1).asText();
          names.add(branch.get(0).asText());
          branches = branches.branch((k, v) -> Vocabulary.accepts(predicate, k, v), Branched.as(branch.get(0).asText()));
        }
        Map<String, KStream<Object, Object>> found = branches.defaultBranch(Branched.as("rest"));
        names.add("rest");
        found.forEach((full, branch) -> {
          for (String each : names) if (full.endsWith(each)) made.put(id + "." + each, branch);
        });
        return null;
      }
      case "repartition": {
        Repartitioned<Object, Object> repartitioned = Repartitioned.with(KEY, VALUE);
        if (name != null) repartitioned = repartitioned.withName(name);
        if (step.hasNonNull("partition")) repartitioned = repartitioned.withStreamPartitioner((topic, k, v, n) -> Optional.of(Set.of(0)));
        return stream(step, "of").repartition(repartitioned);
      }
      case "groupByKey":
        return stream(step, "of").groupByKey(Grouped.with(name, KEY, VALUE));
      case "groupBy": {
        String key = text(step, "key");
        return stream(step, "of").groupBy((k, v) -> Vocabulary.key(key, k, v), Grouped.with(name, KEY, VALUE));
      }
      case "streamJoin": {
        ValueJoinerWithKey<Object, Object, Object, Object> join = (k, l, r) -> Vocabulary.combine(by, l, r, k);
        StreamJoined<Object, Object, Object> joined = StreamJoined.with(KEY, VALUE, VALUE);
        if (name != null) joined = joined.withName(name);
        if (step.has("joinStore")) joined = joined.withStoreName(text(step, "joinStore"));
        JsonNode within = step.get("windows");
        JoinWindows windows = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(Math.max(0, Math.max(within.get("before").asLong(), within.get("after").asLong()))), ms(within, "grace"))
            .before(ms(within, "before")).after(ms(within, "after"));
        KStream<Object, Object> left = stream(step, "of"), right = stream(step, "with");
        return switch (text(step, "kind")) {
          case "inner" -> left.join(right, join, windows, joined);
          case "left" -> left.leftJoin(right, join, windows, joined);
          default -> left.outerJoin(right, join, windows, joined);
        };
      }
      case "tableJoin": {
        ValueJoinerWithKey<Object, Object, Object, Object> join = (k, l, r) -> Vocabulary.combine(by, l, r, k);
        Joined<Object, Object, Object> joined = Joined.with(KEY, VALUE, VALUE, name);
        return text(step, "kind").equals("inner")
            ? stream(step, "of").join(table(step, "with"), join, joined)
            : stream(step, "of").leftJoin(table(step, "with"), join, joined);
      }
      case "globalJoin": {
        ValueJoinerWithKey<Object, Object, Object, Object> join = (k, l, r) -> Vocabulary.combine(by, l, r, k);
        String on = text(step, "on");
        KeyValueMapper<Object, Object, Object> by2 = (k, v) -> Vocabulary.key(on, k, v);
        GlobalKTable<Object, Object> global = (GlobalKTable<Object, Object>) made.get(text(step, "with"));
        boolean inner = text(step, "kind").equals("inner");
        KStream<Object, Object> left = stream(step, "of");
        if (named == null) return inner ? left.join(global, by2, join) : left.leftJoin(global, by2, join);
        return inner ? left.join(global, by2, join, named) : left.leftJoin(global, by2, join, named);
      }
      case "toTable":
        if (isBare(step)) return named == null ? stream(step, "of").toTable() : stream(step, "of").toTable(named);
        return named == null ? stream(step, "of").toTable(store(step)) : stream(step, "of").toTable(named, store(step));
      case "process": {
        String[] names = connect(step);
        var supplier = Processors.of(step, names, declarations);
        return named == null ? stream(step, "of").process(supplier, names) : stream(step, "of").process(supplier, named, names);
      }
      case "processValues": {
        String[] names = connect(step);
        var supplier = Processors.fixedKey(step, names, declarations);
        return named == null ? stream(step, "of").processValues(supplier, names) : stream(step, "of").processValues(supplier, named, names);
      }
      case "to": {
        Produced<Object, Object> produced = Produced.with(KEY, VALUE);
        if (name != null) produced = produced.withName(name);
        if (step.hasNonNull("partition")) produced = produced.withStreamPartitioner((topic, k, v, n) -> Optional.of(Set.of(0)));
        if (step.has("topics")) {
          String even = step.get("topics").get(0).asText(), odd = step.get("topics").get(1).asText();
          stream(step, "of").to((k, v, context) -> Vocabulary.number(v) % 2 == 0 ? even : odd, produced);
        } else stream(step, "of").to(text(step, "topic"), produced);
        return null;
      }
      case "count": case "reduce": case "aggregate":
        return aggregate(step);
      case "cogroup":
        return cogroup(step);
      case "tableFilter": case "tableFilterNot": {
        Predicate<Object, Object> accept = (k, v) -> Vocabulary.accepts(by, k, v);
        KTable<Object, Object> of = table(step, "of");
        boolean not = step.get("op").asText().equals("tableFilterNot");
        if (step.has("store")) {
          return not ? named == null ? of.filterNot(accept, store(step)) : of.filterNot(accept, named, store(step))
              : named == null ? of.filter(accept, store(step)) : of.filter(accept, named, store(step));
        }
        return not ? named == null ? of.filterNot(accept) : of.filterNot(accept, named)
            : named == null ? of.filter(accept) : of.filter(accept, named);
      }
      case "tableMapValues": {
        ValueMapperWithKey<Object, Object, Object> map = (k, v) -> Vocabulary.map(by, k, v);
        KTable<Object, Object> of = table(step, "of");
        if (step.has("store")) return named == null ? of.mapValues(map, store(step)) : of.mapValues(map, named, store(step));
        return named == null ? of.mapValues(map) : of.mapValues(map, named);
      }
      case "tableGroupBy": {
        String key = text(step, "key");
        return table(step, "of").groupBy((k, v) -> KeyValue.pair(Vocabulary.key(key, k, v), Vocabulary.map(by, k, v)), Grouped.with(name, KEY, VALUE));
      }
      case "tableCount":
        if (isBare(step)) return named == null ? groupedTable(step).count() : groupedTable(step).count(named);
        return named == null ? groupedTable(step).count(materialized(step)) : groupedTable(step).count(named, materialized(step));
      case "tableReduce": {
        String add = text(step, "add"), subtract = text(step, "subtract");
        Reducer<Object> adder = (a, v) -> Vocabulary.combine(add, a, v, null), subtractor = (a, v) -> Vocabulary.combine(subtract, a, v, null);
        if (isBare(step)) {
          return named == null ? groupedTable(step).reduce(adder, subtractor)
              : groupedTable(step).reduce(adder, subtractor, named, (Materialized) Materialized.with(KEY, VALUE));
        }
        return named == null ? groupedTable(step).reduce(adder, subtractor, store(step)) : groupedTable(step).reduce(adder, subtractor, named, store(step));
      }
      case "tableAggregate": {
        String add = text(step, "add"), subtract = text(step, "subtract"), initial = text(step, "initial");
        Initializer<Object> start = () -> Vocabulary.initial(initial);
        Aggregator<Object, Object, Object> adder = (k, v, a) -> Vocabulary.combine(add, a, v, k), subtractor = (k, v, a) -> Vocabulary.combine(subtract, a, v, k);
        if (isBare(step)) {
          return named == null ? groupedTable(step).aggregate(start, adder, subtractor)
              : groupedTable(step).aggregate(start, adder, subtractor, named);
        }
        return named == null ? groupedTable(step).aggregate(start, adder, subtractor, store(step))
            : groupedTable(step).aggregate(start, adder, subtractor, named, store(step));
      }
      case "tableTableJoin": {
        ValueJoiner<Object, Object, Object> join = (l, r) -> Vocabulary.combine(by, l, r, null);
        KTable<Object, Object> left = table(step, "of"), right = table(step, "with");
        boolean stored = step.has("store");
        return switch (text(step, "kind")) {
          case "inner" -> stored ? named == null ? left.join(right, join, store(step)) : left.join(right, join, named, store(step))
              : named == null ? left.join(right, join) : left.join(right, join, named);
          case "left" -> stored ? named == null ? left.leftJoin(right, join, store(step)) : left.leftJoin(right, join, named, store(step))
              : named == null ? left.leftJoin(right, join) : left.leftJoin(right, join, named);
          default -> stored ? named == null ? left.outerJoin(right, join, store(step)) : left.outerJoin(right, join, named, store(step))
              : named == null ? left.outerJoin(right, join) : left.outerJoin(right, join, named);
        };
      }
      case "foreignKeyJoin": {
        ValueJoiner<Object, Object, Object> join = (l, r) -> Vocabulary.combine(by, l, r, null);
        String on = text(step, "on");
        java.util.function.BiFunction<Object, Object, Object> foreign = (k, v) -> Vocabulary.key(on, k, v);
        KTable<Object, Object> left = table(step, "of"), right = table(step, "with");
        TableJoined<Object, Object> joined = TableJoined.as(name);
        boolean inner = text(step, "kind").equals("inner");
        if (step.has("store")) return inner ? left.join(right, foreign, join, joined, store(step)) : left.leftJoin(right, foreign, join, joined, store(step));
        return inner ? left.join(right, foreign, join, joined) : left.leftJoin(right, foreign, join, joined);
      }
      case "suppress": {
        Suppressed until;
        if (text(step, "until").equals("window closes")) until = Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded());
        else {
          Suppressed.BufferConfig<?> buffer = step.has("maxRecords") ? Suppressed.BufferConfig.maxRecords(step.get("maxRecords").asLong()) : Suppressed.BufferConfig.unbounded();
          until = Suppressed.untilTimeLimit(ms(step, "limit"), buffer);
        }
        if (name != null) until = until.withName(name);
        return table(step, "of").suppress(until);
      }
      case "toStream": {
        String key = text(step, "key");
        if (key == null) return named == null ? table(step, "of").toStream() : table(step, "of").toStream(named);
        KeyValueMapper<Object, Object, Object> map = (k, v) -> Vocabulary.key(key, k, v);
        return named == null ? table(step, "of").toStream(map) : table(step, "of").toStream(map, named);
      }
      default:
        throw new IllegalArgumentException("no operation " + step.get("op"));
    }
  }

  private static Object key(Object key) {
    return key == null ? null : Vocabulary.text(key);
  }

  private KGroupedTable<Object, Object> groupedTable(JsonNode step) {
    return (KGroupedTable<Object, Object>) made.get(text(step, "of"));
  }

  /** The store of a step, by its name where it has one. */
  private static Materialized<Object, Object, KeyValueStore<Bytes, byte[]>> store(JsonNode step) {
    return (Materialized) materialized(step);
  }

  private static Materialized materialized(JsonNode step) {
    Materialized made = step.has("store") ? Materialized.as(step.get("store").asText()) : Materialized.with(KEY, VALUE);
    return made.withKeySerde(KEY).withValueSerde(VALUE);
  }

  private static Materialized retained(JsonNode step, long least) {
    long retention = step.has("retention") ? step.get("retention").asLong() : Math.max(DAY, least);
    return materialized(step).withRetention(Duration.ofMillis(retention));
  }

  private Object aggregate(JsonNode step) {
    KGroupedStream<Object, Object> grouped = (KGroupedStream<Object, Object>) made.get(text(step, "of"));
    Named named = named(step);
    String op = text(step, "op"), add = text(step, "add"), initial = text(step, "initial"), merge = text(step, "merge");
    Reducer<Object> reducer = (a, v) -> Vocabulary.combine(add, a, v, null);
    Initializer<Object> start = () -> Vocabulary.initial(initial);
    Aggregator<Object, Object, Object> adder = (k, v, a) -> Vocabulary.combine(add, a, v, k);
    Merger<Object, Object> merger = (k, a, b) -> Vocabulary.combine(merge, a, b, k);
    if (isBare(step)) return bare(step, grouped, reducer, start, adder, merger);
    if (!step.has("windows")) {
      Materialized store = materialized(step);
      return switch (op) {
        case "count" -> named == null ? grouped.count(store) : grouped.count(named, store);
        case "reduce" -> named == null ? grouped.reduce(reducer, store) : grouped.reduce(reducer, named, store);
        default -> named == null ? grouped.aggregate(start, adder, store) : grouped.aggregate(start, adder, named, store);
      };
    }
    JsonNode windows = step.get("windows");
    EmitStrategy emit = "on close".equals(text(step, "emit")) ? EmitStrategy.onWindowClose() : EmitStrategy.onWindowUpdate();
    if (text(windows, "kind").equals("session")) {
      SessionWindowedKStream<Object, Object> windowed = grouped.windowedBy(sessions(windows)).emitStrategy(emit);
      Materialized store = retained(step, windows.get("gap").asLong() + windows.get("grace").asLong());
      return switch (op) {
        case "count" -> named == null ? windowed.count(store) : windowed.count(named, store);
        case "reduce" -> named == null ? windowed.reduce(reducer, store) : windowed.reduce(reducer, named, store);
        default -> named == null ? windowed.aggregate(start, adder, merger, store) : windowed.aggregate(start, adder, merger, named, store);
      };
    }
    TimeWindowedKStream<Object, Object> windowed = text(windows, "kind").equals("time")
        ? grouped.windowedBy(times(windows)).emitStrategy(emit)
        : grouped.windowedBy(slidings(windows)).emitStrategy(emit);
    Materialized store = retained(step, least(windows));
    return switch (op) {
      case "count" -> named == null ? windowed.count(store) : windowed.count(named, store);
      case "reduce" -> named == null ? windowed.reduce(reducer, store) : windowed.reduce(reducer, named, store);
      default -> named == null ? windowed.aggregate(start, adder, store) : windowed.aggregate(start, adder, named, store);
    };
  }

  private Object bare(JsonNode step, KGroupedStream<Object, Object> grouped, Reducer<Object> reducer,
      Initializer<Object> start, Aggregator<Object, Object, Object> adder, Merger<Object, Object> merger) {
    Named named = named(step);
    String op = text(step, "op");
    if (!step.has("windows")) {
      return switch (op) {
        case "count" -> named == null ? grouped.count() : grouped.count(named);
        case "reduce" -> named == null ? grouped.reduce(reducer) : grouped.reduce(reducer, named, (Materialized) Materialized.with(KEY, VALUE));
        default -> named == null ? grouped.aggregate(start, adder) : grouped.aggregate(start, adder, named, (Materialized) Materialized.with(KEY, VALUE));
      };
    }
    JsonNode windows = step.get("windows");
    EmitStrategy emit = "on close".equals(text(step, "emit")) ? EmitStrategy.onWindowClose() : EmitStrategy.onWindowUpdate();
    if (text(windows, "kind").equals("session")) {
      SessionWindowedKStream<Object, Object> windowed = grouped.windowedBy(sessions(windows)).emitStrategy(emit);
      return switch (op) {
        case "count" -> named == null ? windowed.count() : windowed.count(named);
        case "reduce" -> named == null ? windowed.reduce(reducer) : windowed.reduce(reducer, named);
        default -> named == null ? windowed.aggregate(start, adder, merger) : windowed.aggregate(start, adder, merger, named);
      };
    }
    TimeWindowedKStream<Object, Object> windowed = text(windows, "kind").equals("time")
        ? grouped.windowedBy(times(windows)).emitStrategy(emit)
        : grouped.windowedBy(slidings(windows)).emitStrategy(emit);
    return switch (op) {
      case "count" -> named == null ? windowed.count() : windowed.count(named);
      case "reduce" -> named == null ? windowed.reduce(reducer) : windowed.reduce(reducer, named);
      default -> named == null ? windowed.aggregate(start, adder) : windowed.aggregate(start, adder, named);
    };
  }

  private Object cogroup(JsonNode step) {
    CogroupedKStream<Object, Object> groups = null;
    for (JsonNode group : step.get("groups")) {
      KGroupedStream<Object, Object> grouped = (KGroupedStream<Object, Object>) made.get(group.get(0).asText());
      String add = group.get(1).asText();
      Aggregator<Object, Object, Object> adder = (k, v, a) -> Vocabulary.combine(add, a, v, k);
      groups = groups == null ? grouped.cogroup(adder) : groups.cogroup(grouped, adder);
    }
    Named named = named(step);
    String initial = text(step, "initial"), merge = text(step, "merge");
    Initializer<Object> start = () -> Vocabulary.initial(initial);
    if (!step.has("windows")) {
      if (isBare(step)) return named == null ? groups.aggregate(start) : groups.aggregate(start, named);
      Materialized store = materialized(step);
      return named == null ? groups.aggregate(start, store) : groups.aggregate(start, named, store);
    }
    JsonNode windows = step.get("windows");
    Merger<Object, Object> merger = (k, a, b) -> Vocabulary.combine(merge, a, b, k);
    if (text(windows, "kind").equals("session")) {
      Materialized store = retained(step, windows.get("gap").asLong() + windows.get("grace").asLong());
      var windowed = groups.windowedBy(sessions(windows));
      if (isBare(step)) return named == null ? windowed.aggregate(start, merger) : windowed.aggregate(start, merger, named);
      return named == null ? windowed.aggregate(start, merger, store) : windowed.aggregate(start, merger, named, store);
    }
    Materialized store = retained(step, least(windows));
    if (isBare(step)) {
      var bare = text(windows, "kind").equals("time") ? groups.windowedBy(times(windows)) : groups.windowedBy(slidings(windows));
      return named == null ? bare.aggregate(start) : bare.aggregate(start, named);
    }
    var windowed = text(windows, "kind").equals("time") ? groups.windowedBy(times(windows)) : groups.windowedBy(slidings(windows));
    return named == null ? windowed.aggregate(start, store) : windowed.aggregate(start, named, store);
  }

  private static long least(JsonNode windows) {
    long grace = windows.get("grace").asLong();
    return text(windows, "kind").equals("time") ? windows.get("size").asLong() + grace : 2 * windows.get("difference").asLong() + grace;
  }

  private static TimeWindows times(JsonNode windows) {
    return TimeWindows.ofSizeAndGrace(ms(windows, "size"), ms(windows, "grace")).advanceBy(ms(windows, "advance"));
  }

  private static SlidingWindows slidings(JsonNode windows) {
    return SlidingWindows.ofTimeDifferenceAndGrace(ms(windows, "difference"), ms(windows, "grace"));
  }

  private static SessionWindows sessions(JsonNode windows) {
    return SessionWindows.ofInactivityGapAndGrace(ms(windows, "gap"), ms(windows, "grace"));
  }

  private static StoreBuilder<?> storeBuilder(JsonNode step) {
    String name = text(step, "store");
    return switch (text(step, "kind")) {
      case "key-value" -> Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(name), KEY, VALUE);
      case "window" -> Stores.windowStoreBuilder(Stores.inMemoryWindowStore(name, ms(step, "retention"), ms(step, "size"), false), KEY, VALUE);
      default -> Stores.sessionStoreBuilder(Stores.inMemorySessionStore(name, ms(step, "retention")), KEY, VALUE);
    };
  }

  /** Adds the stores that a processor names, each once, and gives their names. */
  private String[] connect(JsonNode step) {
    List<String> names = new ArrayList<>();
    for (JsonNode id : step.get("stores")) {
      StoreBuilder<?> store = declared.get(id.asText());
      if (added.add(store)) builder.addStateStore(store);
      names.add(store.name());
    }
    return names.toArray(String[]::new);
  }
}
