/** The optional parts of a Kafka record besides its value. */
export interface Extras {
  readonly key?: Buffer
  readonly headers?: readonly RecordHeader[]
}

/** A name may occur more than once. */
export interface RecordHeader {
  readonly name: string
  readonly value: Buffer
}
