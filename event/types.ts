/** An event as the API accepted it: every field already in its canonical text. */
export interface CanonicalEvent {
  /** UUID, lower case, hyphenated. */
  eventId: string
  /** Decimal integer text within int8. */
  userId: string
  /** `YYYY-MM-DDTHH:MM:SS.ffffffZ`: UTC, microseconds. */
  timestamp: string
  /** The JSON text of the metadata object, byte for byte as it was sent (a view, not a copy). */
  metadata: Buffer
}
