package millrace.oracle;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Windowed;

/** The callbacks that topologies of the cases are made of; vocabulary.ts has the same. */
final class Vocabulary {
  private Vocabulary() {}

  static final long MODULUS = 1_000_003;

  static String text(Object value) {
    if (value == null) return "~";
    if (value instanceof Windowed<?> windowed) {
      return text(windowed.key()) + "@" + windowed.window().start() + "/" + windowed.window().end();
    }
    return value.toString();
  }

  static long number(Object value) {
    if (value == null) return 0;
    if (value instanceof Long whole) return whole;
    String text = text(value);
    return text.codePointCount(0, text.length());
  }

  /** The last twelve characters. */
  static String cut(String text) {
    int[] characters = text.codePoints().toArray();
    int from = Math.max(0, characters.length - 12);
    return new String(characters, from, characters.length - from);
  }

  /** The first `most` characters, each by itself. */
  private static List<String> characters(Object value, int most) {
    List<String> found = new ArrayList<>();
    text(value).codePoints().limit(most).forEach(point -> found.add(Character.toString(point)));
    return found;
  }

  static boolean accepts(String by, Object key, Object value) {
    return switch (by) {
      case "isEven" -> number(value) % 2 == 0;
      case "isThird" -> number(value) % 3 == 0;
      case "isShort" -> number(text(value)) < 3;
      case "isThere" -> value != null;
      case "isLowKey" -> text(key).compareTo("b") < 0;
      case "all" -> true;
      case "none" -> false;
      default -> throw new IllegalArgumentException("no predicate " + by);
    };
  }

  static Object map(String by, Object key, Object value) {
    return switch (by) {
      case "same" -> value;
      case "upper" -> text(value).toUpperCase(Locale.ROOT);
      case "length" -> number(value);
      case "increment" -> (number(value) + 1) % MODULUS;
      case "half" -> number(value) / 2;
      case "text" -> text(value);
      case "withKey" -> cut(text(value) + "/" + text(key));
      case "nothingIfOdd" -> number(value) % 2 == 0 ? value : null;
      case "throwsAtSeven" -> {
        if (number(value) % 10 == 7) throw new IllegalStateException("seven");
        yield value;
      }
      default -> throw new IllegalArgumentException("no mapper " + by);
    };
  }

  static Object key(String by, Object key, Object value) {
    return switch (by) {
      case "same" -> key;
      case "text" -> text(key);
      case "textOfValue" -> text(value);
      case "ofValue" -> String.join("", characters(value, 1));
      case "modulo" -> "g" + Math.floorMod(number(value), 3L);
      case "constant" -> "c";
      case "nothingIfOdd" -> number(value) % 2 == 0 ? text(key) : null;
      default -> throw new IllegalArgumentException("no key mapper " + by);
    };
  }

  static List<Object> many(String by, Object key, Object value) {
    return switch (by) {
      case "twice" -> {
        List<Object> both = new ArrayList<>();
        both.add(value);
        both.add(value);
        yield both;
      }
      case "characters" -> new ArrayList<>(characters(value, 3));
      case "none" -> List.of();
      default -> throw new IllegalArgumentException("no flat mapper " + by);
    };
  }

  static List<KeyValue<Object, Object>> pairs(String by, Object key, Object value) {
    List<KeyValue<Object, Object>> found = new ArrayList<>();
    switch (by) {
      case "twice" -> {
        found.add(KeyValue.pair(text(key), value));
        found.add(KeyValue.pair("t", number(value)));
      }
      case "characters" -> characters(value, 3).forEach(one -> found.add(KeyValue.pair(one, number(value))));
      case "none" -> { }
      default -> throw new IllegalArgumentException("no flat mapper " + by);
    }
    return found;
  }

  /** Of reducers, aggregators, mergers, joiners: the left or the aggregate first. */
  static Object combine(String by, Object left, Object right, Object key) {
    return switch (by) {
      case "sum" -> (number(left) + number(right)) % MODULUS;
      case "minus" -> (number(left) - number(right)) % MODULUS;
      case "concat" -> cut(text(left) + text(right));
      case "pair" -> cut("(" + text(left) + "," + text(right) + ")");
      case "withKey" -> cut(text(key) + ":" + text(left) + text(right));
      case "max" -> number(right) > number(left) ? right : left;
      case "first" -> left;
      case "last" -> right;
      case "without" -> {
        String from = text(left), what = text(right);
        int at = what.isEmpty() ? -1 : from.indexOf(what);
        yield at < 0 ? from : from.substring(0, at) + from.substring(at + what.length());
      }
      case "nothingIfThird" -> {
        long sum = (number(left) + number(right)) % MODULUS;
        yield sum % 3 == 0 ? null : (Object) sum;
      }
      default -> throw new IllegalArgumentException("no combiner " + by);
    };
  }

  static Object initial(String by) {
    return switch (by) {
      case "zero" -> 0L;
      case "empty" -> "";
      case "nothing" -> null;
      default -> throw new IllegalArgumentException("no initializer " + by);
    };
  }

  static long timestamp(String by, Object value, long timestamp) {
    return switch (by) {
      case "plusTen" -> timestamp + 10;
      case "ofValue" -> value instanceof Long whole && whole >= 0 ? whole : timestamp;
      default -> throw new IllegalArgumentException("no timestamp " + by);
    };
  }
}
