import type {
  RecordBatch,
  RecordSource,
  SourceListener,
  AcceptedBatch,
} from '../../sink-worker/record-source.ts'

/** The calls of the source, in order. */
export type Call =
  | { kind: 'assigned'; partitions: readonly number[] }
  | { kind: 'batch'; partition: number; values: string[]; from: bigint; to: bigint }
  | { kind: 'emptyRange'; partition: number; from: bigint; to: bigint }
  | { kind: 'membershipLost'; reason: Error }
  | { kind: 'joinRefused'; reason: Error }
  | { kind: 'fetchFailed' }

/**
 * A core that keeps its positions in memory, as the sink keeps them in PostgreSQL: seeks to them in onAssigned() and takes
 * each batch, unless the test has it do otherwise.
 */
export class Recorder implements SourceListener {
  readonly calls: Call[] = []
  readonly lastWatermarks = new Map<number, { lastStable: bigint; high: bigint }>()
  readonly #source: RecordSource
  readonly #positions: Map<number, bigint>
  /** Decides on a batch; 'take' is what happens without it. */
  decide: (batch: RecordBatch) => Promise<'take' | 'leave'> = async () => 'take'

  /** @param positions where each partition begins, if not at 0; sources that share it go on where another one was */
  constructor(source: RecordSource, positions = new Map<number, bigint>()) {
    this.#source = source
    this.#positions = positions
  }

  onAssigned(partitions: readonly number[]): void {
    this.calls.push({ kind: 'assigned', partitions })
    for (const partition of partitions) this.#source.seek(partition, this.#positions.get(partition) ?? 0n)
    this.#source.fetchOnly(partitions)
  }

  async onBatch(batch: RecordBatch): Promise<AcceptedBatch | undefined> {
    const { partition, records, endOffset } = batch
    const values = records.map(({ value }) => String(value))
    const from = records[0]?.offset ?? endOffset
    this.calls.push({ kind: 'batch', partition, values, from, to: endOffset })
    const decision = await this.decide(batch)
    if (decision === 'leave') return undefined
    this.#positions.set(partition, endOffset)
    return { to: endOffset, stored: Promise.resolve(true) }
  }

  onEmptyRange({ partition, from, to }: { partition: number; from: bigint; to: bigint }): void {
    this.calls.push({ kind: 'emptyRange', partition, from, to })
    this.#positions.set(partition, to)
  }

  onWatermarks(partition: number, watermarks: { lastStable: bigint; high: bigint }): void {
    this.lastWatermarks.set(partition, watermarks)
  }

  onMembershipLost(reason: Error): void {
    this.calls.push({ kind: 'membershipLost', reason })
  }

  onJoinRefused(reason: Error): void {
    this.calls.push({ kind: 'joinRefused', reason })
  }

  onFetchFailed(): void {
    this.calls.push({ kind: 'fetchFailed' })
  }

  of<K extends Call['kind']>(kind: K): Extract<Call, { kind: K }>[] {
    return this.calls.filter((each): each is Extract<Call, { kind: K }> => each.kind === kind)
  }

  /** The values of all batches of a partition, in the order in which they came. */
  values(partition = 0): string[] {
    return this.of('batch').flatMap((batch) => (batch.partition === partition ? batch.values : []))
  }
}
