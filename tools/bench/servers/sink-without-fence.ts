// The sink without exactly-once delivery, to measure the cost of the offsets row and of a transaction's checks.
import { registerHooks } from 'node:module'

/** Modules and their replacements. The watch is replaced too, because it would report offsets that do not move. */
const STAND_INS = [
  ['/fence.ts', './no-fence.ts'],
  ['/position-watch.ts', './no-watch.ts'],
] as const

registerHooks({
  resolve: (specifier, context, next) => {
    const standIn = STAND_INS.find(([name]) => specifier.endsWith(name))?.[1]
    return next(standIn === undefined ? specifier : new URL(standIn, import.meta.url).href, context)
  },
})
await import('../../../sink-worker/main.ts')
