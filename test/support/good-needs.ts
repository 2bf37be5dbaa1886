import type { NeedFacts } from '../../postgres/needs.ts'

/** A database as migrate leaves it. */
export const GOOD_NEEDS: NeedFacts = {
  role: 'firehose',
  tables: ['events', 'sink_offsets', 'dead_letters'].map((name) => ({ name, kind: 'r' })),
  isMigrated: true,
  elsewhere: [],
  hidden: [],
  lacking: [],
  rules: [],
  deferrable: [],
}
