/** An event accepted by the API, with every field in its canonical text. */
export interface CanonicalEvent {
  /** Lowercase UUID with hyphens. */
  eventId: string
  /** Decimal integer text within int8. */
  userId: string
  /** `YYYY-MM-DDTHH:MM:SS.ffffffZ`: UTC, microseconds. */
  timestamp: string
  /** The JSON text of the metadata object, byte for byte as sent. A view, not a copy. */
  metadata: Buffer
}
