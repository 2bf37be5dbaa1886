// The sink without what makes it exactly once: what the offsets row and the checks of a transaction cost.
import { registerHooks } from 'node:module'

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier.endsWith('/fence.ts') ? new URL('./no-fence.ts', import.meta.url).href : specifier,
      context,
    ),
})
await import('../../sink-worker/main.ts')
