import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends each line of standard input to partition 0 of a topic: java Produce.java SERVERS TOPIC NAME=VALUE... */
public class Produce {
  public static void main(String[] args) throws Exception {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", args[0]);
    settings.put("linger.ms", "100");
    for (int n = 2; n < args.length; n++) settings.put(args[n].split("=", 2)[0], args[n].split("=", 2)[1]);
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var text = new StringSerializer();
    try (var producer = new KafkaProducer<String, String>(settings, text, text)) {
      for (String line; (line = lines.readLine()) != null; )
        sent.add(producer.send(new ProducerRecord<String, String>(args[1], 0, null, line)));
      for (var each : sent) each.get();
    }
  }
}
