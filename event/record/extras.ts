/** What a Kafka record may have beside its value. */
export interface Extras {
  readonly key?: Buffer
  readonly headers?: readonly RecordHeader[]
}

/** A name may come more than once. */
export interface RecordHeader {
  readonly name: string
  readonly value: Buffer
}
