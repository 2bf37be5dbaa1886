// Sends one event, retrying until it is accepted: go run send-event.go URL <event.json
//
// The body, including the id, is made once and never changes, so the event is stored once, however often it is sent.
// Needs Go 1.22. Exit codes (of what go build makes): 0 accepted, 1 refused, 64 wrong usage, 75 given up for now.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const example = `{"user_id": 42, "metadata": {"page": "/pricing"}}`

var errGaveUp = errors.New("not accepted in time")

// complete adds what is missing. The rest stays as it is written, with all digits of its numbers.
func complete(event []byte) ([]byte, error) {
	event = bytes.TrimPrefix(event, []byte("\ufeff")) // the byte order mark of programs on Windows
	var own map[string]json.RawMessage
	if err := json.Unmarshal(event, &own); err != nil || len(own) == 0 {
		return nil, errors.New("it is not a JSON object with fields")
	}
	added := "{"
	if own["event_id"] == nil {
		added += fmt.Sprintf(`"event_id": "%s", `, uuid7())
	}
	if own["timestamp"] == nil {
		added += fmt.Sprintf(`"timestamp": "%s", `, time.Now().UTC().Format(time.RFC3339Nano))
	}
	return append([]byte(added), bytes.TrimSpace(event)[1:]...), nil
}

// uuid7 has 48 bits of time, then 74 random bits (RFC 9562): new ids are close together in the index of the table.
func uuid7() string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16)
	rand.Read(id[6:])
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// send returns the id. It fails at once if the event is refused, and with errGaveUp if no attempt is left within total.
func send(url string, body []byte, total time.Duration) (id string, err error) {
	for end, backoff := time.Now().Add(total), 250*time.Millisecond; ; backoff = min(2*backoff, 30*time.Second) {
		status, text, wait, err := attempt(url, body)
		if err == nil && status == 202 {
			var accepted map[string]string
			err = json.Unmarshal(text, &accepted)
			return accepted["event_id"], err
		}
		if err == nil {
			err = fmt.Errorf("%d %s", status, text)
			if status < 500 && status != 408 && status != 429 {
				return "", err
			}
		} // Otherwise the event may have been accepted: perhaps only the answer was lost.
		wait += backoff/2 + mathrand.N(backoff/2)
		if time.Now().Add(wait).After(end) {
			return "", fmt.Errorf("%w: %w", errGaveUp, err)
		}
		time.Sleep(wait)
	}
}

func attempt(url string, body []byte) (status int, text []byte, retryAfter time.Duration, err error) {
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := http.Client{Timeout: 10 * time.Second, CheckRedirect: noRedirect}
	request, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("API_KEY"); key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, 0, err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	after := answer.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil {
		retryAfter = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(after); err == nil {
		retryAfter = time.Until(date)
	}
	return answer.StatusCode, text, max(0, retryAfter), err
}

func main() {
	if len(os.Args) != 2 || !strings.HasPrefix(os.Args[1], "http") {
		fmt.Fprintln(os.Stderr, "usage: send-event http://HOST:PORT <event.json")
		os.Exit(64)
	}
	event := []byte(example)
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 { // not a terminal
		if given, _ := io.ReadAll(os.Stdin); len(given) > 0 {
			event = given
		}
	}
	body, err := complete(event)
	if err == nil {
		var id string
		if id, err = send(strings.TrimSuffix(os.Args[1], "/")+"/event", body, time.Minute); err == nil {
			fmt.Println(id)
			return
		}
	}
	if errors.Is(err, errGaveUp) {
		fmt.Fprintf(os.Stderr, "The event was %s\nIt may be stored. Send exactly this again, and it is stored once:\n%s\n", err, body)
		os.Exit(75)
	}
	fmt.Fprintln(os.Stderr, "The event was refused:", err)
	os.Exit(1)
}
