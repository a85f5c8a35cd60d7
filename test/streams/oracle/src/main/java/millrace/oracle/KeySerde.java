package millrace.oracle;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.SessionWindow;
import org.apache.kafka.streams.kstream.internals.TimeWindow;

/**
 * Keys are text, or text in a window: the store of a filter, say, does not take over the form of a windowed table's keys.
 * Keys in windows sort as with Kafka's own serializers: by key, then time windows by start, sessions by end.
 */
public final class KeySerde implements Serde<Object> {
  private static final byte TIME = 1, SESSION = 2;
  private static final int WINDOW_BYTES = 2 * Long.BYTES + 1;

  @Override
  public Serializer<Object> serializer() {
    return (topic, key) -> {
      if (key == null) return null;
      if (!(key instanceof Windowed<?> windowed)) return ((String) key).getBytes(StandardCharsets.UTF_8);
      byte[] text = ((String) windowed.key()).getBytes(StandardCharsets.UTF_8);
      boolean session = windowed.window() instanceof SessionWindow;
      long start = windowed.window().start(), end = windowed.window().end();
      return ByteBuffer.allocate(text.length + WINDOW_BYTES).put(text)
          .putLong(session ? end : start).putLong(session ? start : end).put(session ? SESSION : TIME).array();
    };
  }

  @Override
  public Deserializer<Object> deserializer() {
    return (topic, bytes) -> {
      if (bytes == null) return null;
      // No text of the cases has a byte of zero, and each time here begins with one.
      int length = bytes.length - WINDOW_BYTES;
      if (length < 0 || bytes[length] != 0) return new String(bytes, StandardCharsets.UTF_8);
      String text = new String(bytes, 0, length, StandardCharsets.UTF_8);
      ByteBuffer window = ByteBuffer.wrap(bytes, length, WINDOW_BYTES);
      long one = window.getLong(), other = window.getLong();
      return new Windowed<Object>(text, window.get() == SESSION ? new SessionWindow(other, one) : new TimeWindow(one, other));
    };
  }
}
