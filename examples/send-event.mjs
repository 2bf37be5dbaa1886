/**
 * Sends one event, retrying until it is accepted (202), and resolves with its event_id. The body, including the id, is
 * created once and never changes, so the event is stored once, however often it is sent. `apiKey` is for an API that needs
 * one. Node 20 or later, and browsers.
 */
export async function sendEvent(apiUrl, event, { apiKey, timeoutMs = 15_000, maxAttempts = Infinity } = {}) {
  const event_id = event.event_id ?? uuidV7()
  const timestamp = event.timestamp ?? new Date().toISOString()
  const body = JSON.stringify({ ...event, timestamp, event_id })
  const url = new URL('/event', apiUrl)
  for (let attempt = 1; ; attempt++) {
    // After a network error the event may have been accepted: perhaps only the response was lost.
    const answer = await post(url, apiKey, body, timeoutMs).catch((error) => ({ error }))
    if (answer.status === 202) return event_id
    const isTransient = answer.error || answer.status >= 500 || answer.status === 408 || answer.status === 429
    if (!isTransient || attempt >= maxAttempts) {
      throw new Error(`Event ${event_id}: ${answer.status ?? answer.error} ${answer.text ?? ''}`)
    }
    const backoffMs = Math.min(250 * 2 ** (attempt - 1), 30_000) * (0.5 + Math.random() / 2)
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, answer.waitMs || 0) + backoffMs))
  }
}

async function post(url, apiKey, body, timeoutMs) {
  const headers = { 'Content-Type': 'application/json', ...(apiKey && { Authorization: `Bearer ${apiKey}` }) }
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) })
  const retryAfter = response.headers.get('Retry-After') // seconds, or a date
  const waitMs = Number(retryAfter) * 1_000 || Date.parse(retryAfter) - Date.now()
  return { status: response.status, text: await response.text(), waitMs }
}

/** 48 bits of time, then 74 random bits (RFC 9562): new ids are close together in the index of the table. */
function uuidV7() {
  const time = Date.now().toString(16).padStart(12, '0')
  const bytes = crypto.getRandomValues(new Uint8Array(10))
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  const variant = '89ab'[bytes[9] & 3]
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(3, 6)}-${random.slice(6, 18)}`
}
