import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.*;
import java.time.format.*;
import java.util.*;
import java.util.concurrent.*;

/**
 * Sends one event, retrying until it is accepted: java SendEvent.java URL <event.json
 *
 * <p>The body, including the id, is made once and never changes, so the event is stored once, however often it is sent.
 * Needs Java 17. Exit codes: 0 accepted, 1 refused, 64 wrong usage, 75 given up for now.
 */
public class SendEvent {
  static final String EXAMPLE = "{\"user_id\": 42, \"metadata\": {\"page\": \"/pricing\"}}";
  static final HttpClient CLIENT = HttpClient.newHttpClient();
  static final SecureRandom RANDOM = new SecureRandom();

  /** Adds what is missing. The rest stays as it is written, with all digits of its numbers. */
  static String complete(String given) throws IOException {
    var event = given.startsWith("\uFEFF") ? given.substring(1) : given; // the byte order mark of programs on Windows
    var own = names(event);
    if (own.isEmpty()) return event; // for the API to refuse
    var added = new StringBuilder("{");
    if (!own.contains("event_id")) added.append("\"event_id\": \"%s\", ".formatted(uuid7()));
    if (!own.contains("timestamp")) added.append("\"timestamp\": \"%s\", ".formatted(Instant.now()));
    return added + event.strip().substring(1);
  }

  /** The names of the event's own members, without those inside its values: the JDK reads no JSON. */
  static Set<String> names(String json) throws IOException {
    var tokens = new StreamTokenizer(new StringReader(json));
    tokens.resetSyntax();
    tokens.whitespaceChars(0, ' ');
    tokens.quoteChar('"');
    var names = new HashSet<String>();
    int depth = 0;
    String last = "";
    for (int token; (token = tokens.nextToken()) != StreamTokenizer.TT_EOF; ) {
      if (token == '"') last = tokens.sval;
      else if (token == '{' || token == '[') depth++;
      else if (token == '}' || token == ']') depth--;
      else if (token == ':' && depth == 1) names.add(last);
    }
    return names;
  }

  /** 48 bits of time, then 74 random bits (RFC 9562): new ids are close together in the index of the table. */
  static UUID uuid7() {
    long high = System.currentTimeMillis() << 16 | 0x7000 | RANDOM.nextInt(0x1000);
    return new UUID(high, RANDOM.nextLong() >>> 2 | 1L << 63);
  }

  /**
   * Returns the id.
   *
   * @throws IllegalArgumentException if the event is refused
   * @throws TimeoutException if no attempt is left within this time
   */
  static String send(URI url, String body, double totalS) throws TimeoutException, InterruptedException {
    var request = HttpRequest.newBuilder(url).header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body));
    var key = System.getenv("API_KEY");
    if (key != null && !key.isEmpty()) request.header("Authorization", "Bearer " + key);
    double endS = System.nanoTime() / 1e9 + totalS;
    for (int failures = 0; ; failures++) {
      double waitS = Math.min(0.25 * Math.pow(2, failures), 30) * (0.5 + RANDOM.nextDouble() / 2);
      String why;
      try {
        // The timeout of a request would end with the head of the answer; this one includes its body.
        var answer = CLIENT.sendAsync(request.build(), HttpResponse.BodyHandlers.ofString()).get(10, TimeUnit.SECONDS);
        int status = answer.statusCode();
        why = status + " " + answer.body();
        if (status == 202) return answer.body().replaceAll(".*\"event_id\":\"([^\"]+)\".*", "$1");
        if (status < 500 && status != 408 && status != 429) throw new IllegalArgumentException(why);
        waitS += secondsUntil(answer.headers().firstValue("Retry-After").orElse(""));
      } catch (ExecutionException | TimeoutException error) {
        // The event may have been accepted: perhaps only the answer was lost.
        why = Objects.requireNonNullElse(error.getCause(), error).toString();
      }
      if (System.nanoTime() / 1e9 + waitS > endS) throw new TimeoutException(why);
      Thread.sleep((long) (waitS * 1_000));
    }
  }

  /** Retry-After is a number of seconds or a date. */
  static double secondsUntil(String retryAfter) {
    if (retryAfter.matches("\\d+")) return Double.parseDouble(retryAfter);
    try {
      var date = ZonedDateTime.parse(retryAfter, DateTimeFormatter.RFC_1123_DATE_TIME);
      return Math.max(0, Duration.between(Instant.now(), date).toSeconds());
    } catch (DateTimeParseException notADate) {
      return 0;
    }
  }

  public static void main(String[] args) throws Exception {
    if (args.length != 1 || !args[0].matches("https?://.+")) {
      System.err.println("usage: java SendEvent.java http://HOST:PORT <event.json");
      System.exit(64);
    }
    System.setErr(new PrintStream(System.err, true, StandardCharsets.UTF_8));
    var given = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(System.in.readAllBytes())).toString();
    var body = complete(given.isEmpty() ? EXAMPLE : given);
    try {
      System.out.println(send(URI.create(args[0].replaceAll("/$", "") + "/event"), body, 60));
    } catch (IllegalArgumentException error) {
      System.err.println("The event was refused: " + error.getMessage());
      System.exit(1);
    } catch (TimeoutException error) {
      System.err.println("The event was not accepted in time: " + error.getMessage());
      System.err.println("It may be stored. Send exactly this again, and it is stored once:\n" + body);
      System.exit(75);
    }
  }
}
