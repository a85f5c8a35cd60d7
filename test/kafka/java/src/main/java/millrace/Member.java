package millrace;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group by Java's consumer: Member ADDRESS GROUP TOPIC. Tells on its output, a line each, when it gets
 * and gives up partitions and what it is given; closes in an orderly way when its input ends.
 */
public final class Member {
    public static void main(String[] args) throws Exception {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", args[0],
            "group.id", args[1],
            "group.protocol", "consumer",
            "group.remote.assignor", "range",
            "auto.offset.reset", "earliest",
            "auto.commit.interval.ms", "100");
        AtomicBoolean over = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException e) {
                // It has ended as well.
            }
            over.set(true);
        });
        input.setDaemon(true);
        input.start();
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(args[2]), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    tell("assigned", partitions);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    tell("revoked", partitions);
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    tell("lost", partitions);
                }
            });
            while (!over.get())
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50)))
                    System.out.println("record " + System.currentTimeMillis() + " " + record.partition() + " " + record.offset());
        }
        System.out.println("closed");
    }

    private static void tell(String what, Collection<TopicPartition> partitions) {
        String numbers = partitions.stream().map(it -> " " + it.partition()).collect(Collectors.joining());
        System.out.println(what + " " + System.currentTimeMillis() + numbers);
    }
}
