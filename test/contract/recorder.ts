import type { RecordBatch, RecordSource, SourceListener, Taken } from '../../sink-worker/record-source.ts'

/** What a source told, in its order. */
export type Told =
  | { kind: 'assigned'; partitions: readonly number[] }
  | { kind: 'batch'; partition: number; values: string[]; from: bigint; to: bigint }
  | { kind: 'empty'; partition: number; from: bigint; to: bigint }
  | { kind: 'lost'; reason: Error }
  | { kind: 'refused'; reason: Error }
  | { kind: 'disturbed' }

/**
 * A core that keeps its positions in memory, as the sink keeps them in PostgreSQL: seeks to them in assigned() and takes
 * each batch, unless the test has it do otherwise.
 */
export class Recorder implements SourceListener {
  readonly told: Told[] = []
  readonly lastEnds = new Map<number, { lastStable: bigint; high: bigint }>()
  readonly #source: RecordSource
  readonly #positions: Map<number, bigint>
  /** Decides on a batch; 'take' is what happens without it. */
  onBatch: (batch: RecordBatch) => Promise<'take' | 'leave'> = async () => 'take'

  /** @param positions where each partition begins, if not at 0; sources that share it go on where another one was */
  constructor(source: RecordSource, positions = new Map<number, bigint>()) {
    this.#source = source
    this.#positions = positions
  }

  assigned(partitions: readonly number[]): void {
    this.told.push({ kind: 'assigned', partitions })
    for (const partition of partitions) this.#source.seek(partition, this.#positions.get(partition) ?? 0n)
    this.#source.fetchOnly(partitions)
  }

  async batch({ partition, records, endOffset }: RecordBatch): Promise<Taken | undefined> {
    const values = records.map(({ value }) => String(value))
    const from = records[0]?.offset ?? endOffset
    this.told.push({ kind: 'batch', partition, values, from, to: endOffset })
    const decision = await this.onBatch({ partition, records, endOffset })
    if (decision === 'leave') return undefined
    this.#positions.set(partition, endOffset)
    return { to: endOffset, stored: Promise.resolve(true) }
  }

  empty({ partition, from, to }: { partition: number; from: bigint; to: bigint }): void {
    this.told.push({ kind: 'empty', partition, from, to })
    this.#positions.set(partition, to)
  }

  ends(partition: number, ends: { lastStable: bigint; high: bigint }): void {
    this.lastEnds.set(partition, ends)
  }

  lost(reason: Error): void {
    this.told.push({ kind: 'lost', reason })
  }

  refused(reason: Error): void {
    this.told.push({ kind: 'refused', reason })
  }

  disturbed(): void {
    this.told.push({ kind: 'disturbed' })
  }

  of<K extends Told['kind']>(kind: K): Extract<Told, { kind: K }>[] {
    return this.told.filter((each): each is Extract<Told, { kind: K }> => each.kind === kind)
  }

  /** The values of all batches of a partition, in the order in which they came. */
  values(partition = 0): string[] {
    return this.of('batch').flatMap((batch) => (batch.partition === partition ? batch.values : []))
  }
}
