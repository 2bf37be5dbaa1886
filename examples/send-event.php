<?php

/**
 * Sends one event, retrying until it is accepted: php send-event.php URL <event.json
 *
 * The body, including the id, is made once and never changes, so the event is stored once, however often it is sent.
 * Needs PHP 8.2 with the extension curl. Exit codes: 0 accepted, 1 refused, 64 wrong usage, 75 given up for now.
 */

declare(strict_types=1);

const EXAMPLE = '{"user_id": 42, "metadata": {"page": "/pricing"}}';

final class Refused extends RuntimeException
{
}

final class GaveUp extends RuntimeException
{
}

/** Adds what is missing. The rest stays as it is written, with all digits of its numbers. */
function complete(string $event): string
{
    $event = preg_replace('/^\xEF\xBB\xBF/', '', $event); // the byte order mark of programs on Windows
    $own = json_decode($event);
    if (!is_object($own) || (array) $own === []) {
        throw new Refused('it is not a JSON object with fields');
    }
    $made = ['event_id' => uuid7(), 'timestamp' => gmdate('Y-m-d\TH:i:s\Z')];
    $added = '';
    foreach (array_diff_key($made, (array) $own) as $name => $value) {
        $added .= "\"$name\": \"$value\", ";
    }
    return '{' . $added . substr(trim($event), 1);
}

/** 48 bits of time, then 74 random bits (RFC 9562): new ids are close together in the index of the table. */
function uuid7(): string
{
    $hex = sprintf('%012x', (int) (microtime(true) * 1000)) . bin2hex(random_bytes(10));
    $hex[12] = '7';
    $hex[16] = '89ab'[random_int(0, 3)];
    return preg_replace('/^(.{8})(.{4})(.{4})(.{4})/', '$1-$2-$3-$4-', $hex);
}

/**
 * Returns the id.
 *
 * @throws Refused
 * @throws GaveUp if no attempt is left within this time
 */
function send(string $url, string $body, float $totalS): string
{
    $end = hrtime(true) / 1e9 + $totalS;
    for ($failures = 0; ; $failures++) {
        // Status 0 is no answer: the event may have been accepted, and perhaps only the answer was lost.
        [$status, $text, $waitS] = attempt($url, $body);
        if ($status === 202) {
            return json_decode($text)->event_id;
        }
        if ($status !== 0 && $status < 500 && $status !== 408 && $status !== 429) {
            throw new Refused("$status $text");
        }
        $waitS += min(0.25 * 2 ** $failures, 30) * random_int(500, 1000) / 1000;
        if (hrtime(true) / 1e9 + $waitS > $end) {
            throw new GaveUp("$status $text");
        }
        usleep((int) ($waitS * 1e6));
    }
}

/** @return array{int, string, int} the status, the answer or the error, and Retry-After in seconds */
function attempt(string $url, string $body): array
{
    $curl = curl_init($url);
    $headers = ['Content-Type: application/json'];
    if (getenv('API_KEY')) {
        $headers[] = 'Authorization: Bearer ' . getenv('API_KEY');
    }
    curl_setopt_array($curl, [CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => $headers]);
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10]);
    $text = curl_exec($curl);
    if ($text === false) {
        return [0, curl_error($curl), 0];
    }
    // curl reads Retry-After as seconds or as a date.
    return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $text, max(0, curl_getinfo($curl, CURLINFO_RETRY_AFTER))];
}

if ($argc !== 2 || !preg_match('~^https?://~', $argv[1])) {
    fwrite(STDERR, "usage: php send-event.php http://HOST:PORT <event.json\n");
    exit(64);
}
$given = stream_isatty(STDIN) ? '' : stream_get_contents(STDIN);
try {
    $body = complete($given === '' ? EXAMPLE : $given);
    echo send(rtrim($argv[1], '/') . '/event', $body, 60), "\n";
} catch (Refused $error) {
    fwrite(STDERR, "The event was refused: {$error->getMessage()}\n");
    exit(1);
} catch (GaveUp $error) {
    fwrite(STDERR, "The event was not accepted in time: {$error->getMessage()}\n");
    fwrite(STDERR, "It may be stored. Send exactly this again, and it is stored once:\n$body\n");
    exit(75);
}
