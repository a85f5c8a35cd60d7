package millrace.oracle;

import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** Values of the cases' language: text, whole numbers, or nothing. */
public final class AnySerde implements Serde<Object> {
  @Override
  public Serializer<Object> serializer() {
    return (topic, value) -> value == null ? null
        : ((value instanceof Long ? "n" : "s") + value).getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public Deserializer<Object> deserializer() {
    return (topic, bytes) -> {
      if (bytes == null) return null;
      String text = new String(bytes, StandardCharsets.UTF_8);
      return text.startsWith("n") ? (Object) Long.valueOf(text.substring(1)) : text.substring(1);
    };
  }
}
