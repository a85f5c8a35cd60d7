package millrace.oracle;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.kstream.Window;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.internals.SessionWindow;
import org.apache.kafka.streams.kstream.internals.TimeWindow;

/**
 * Keys are text, or text in a window, marked by a first byte of zero: the store of a filter, say, does not take over the
 * form of a windowed table's keys.
 */
public final class KeySerde implements Serde<Object> {
  @Override
  public Serializer<Object> serializer() {
    return (topic, key) -> {
      if (key == null) return null;
      if (!(key instanceof Windowed<?> windowed)) return ((String) key).getBytes(StandardCharsets.UTF_8);
      Window window = windowed.window();
      String kind = window instanceof SessionWindow ? "session" : "time";
      return ("\0" + kind + "/" + window.start() + "/" + window.end() + "/" + windowed.key()).getBytes(StandardCharsets.UTF_8);
    };
  }

  @Override
  public Deserializer<Object> deserializer() {
    return (topic, bytes) -> {
      if (bytes == null) return null;
      String text = new String(bytes, StandardCharsets.UTF_8);
      if (!text.startsWith("\0")) return text;
      String[] parts = text.substring(1).split("/", 4);
      long start = Long.parseLong(parts[1]), end = Long.parseLong(parts[2]);
      return new Windowed<Object>(parts[3], parts[0].equals("session") ? new SessionWindow(start, end) : new TimeWindow(start, end));
    };
  }
}
