import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends the lines of standard input to partition 0 of a topic, an equal part of them with each codec:
 * java Produce.java SERVERS TOPIC CODEC...
 */
public class Produce {
  public static void main(String[] args) throws Exception {
    List<byte[]> lines = new ArrayList<>();
    for (var line : new String(System.in.readAllBytes(), "UTF-8").split("\n")) lines.add(line.getBytes("UTF-8"));
    int codecs = args.length - 2;
    int part = lines.size() / codecs;
    for (int n = 0; n < codecs; n++) send(args, args[n + 2], lines.subList(n * part, (n + 1) * part));
  }

  static void send(String[] args, String codec, List<byte[]> lines) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "linger.ms", "100", "compression.type", codec);
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    var bytes = new ByteArraySerializer();
    try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes)) {
      for (var line : lines) sent.add(producer.send(new ProducerRecord<byte[], byte[]>(args[1], 0, null, line)));
      for (var each : sent) each.get();
    }
  }
}
