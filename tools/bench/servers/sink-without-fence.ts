// The sink without what makes it exactly once: what the offsets row and the checks of a transaction cost.
import { registerHooks } from 'node:module'

/** What stands in for what: offsets that never move would be taken for moved ones. */
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
