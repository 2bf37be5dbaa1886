import type { FetchedMessage } from '../../kafka/patches.ts'

/** A record of a producer's transaction, as kafkajs decodes it. */
export function transactional(offset: number, producerId: string): FetchedMessage {
  const batchContext = { producerId, inTransaction: true, isControlBatch: false }
  return { offset: String(offset), key: null, isControlRecord: false, batchContext }
}

/** The control record that ends a producer's transaction; its key is version and type, int16 each. */
export function marker(
  offset: number,
  producerId: string,
  type: 'abort' | 'commit',
  version = 0,
): FetchedMessage {
  const key = Buffer.from([0, version, 0, type === 'commit' ? 1 : 0])
  const batchContext = { producerId, inTransaction: true, isControlBatch: true }
  return { offset: String(offset), key, isControlRecord: true, batchContext }
}
