/**
 * Which pages may read answers: those of CORS_ORIGINS, and those of the browser keys that live now. A preflight carries no
 * key, so it is answered by this union; the request after it is then checked by its own key.
 */
import type { KeyRing } from '../../access/key-ring.ts'
import { originMatcher } from '../../access/origins.ts'
import type { CorsOrigins } from './cors.ts'

export interface PageOrigins {
  /** Whether pages matter at all; if not, no answer mentions them. */
  readonly isOn: boolean
  /** Whether all origins are allowed (`*`). */
  readonly isAny: boolean
  /** Whether pages of this origin may read answers: `exact` if the origin itself is listed, `wildcard` if a `*` covers it. */
  match: (origin: string) => 'exact' | 'wildcard' | undefined
}

/** @param ring the keys at this moment; undefined if no keys are taken */
export function pageOrigins(corsOrigins: CorsOrigins, ring?: () => KeyRing): PageOrigins {
  const isAny = corsOrigins === '*'
  const listed: PageOrigins['match'] = isAny ? () => 'wildcard' : matcher(corsOrigins)
  if (ring === undefined) return { isOn: isAny || corsOrigins.length > 0, isAny, match: listed }
  const ofKeys = new OriginsOfKeys(ring)
  return { isOn: true, isAny, match: (origin) => best(listed(origin), ofKeys.match(origin)) }
}

type Match = ReturnType<PageOrigins['match']>

function best(first: Match, second: Match): Match {
  return first === 'exact' || second === undefined ? first : second
}

const hasWildcard = (rule: string): boolean => rule.includes('*')

function matcher(origins: readonly string[]): PageOrigins['match'] {
  const exact = originMatcher(origins.filter((item) => !hasWildcard(item)))
  const wildcard = originMatcher(origins.filter((item) => hasWildcard(item)))
  return (origin) => (exact(origin) ? 'exact' : wildcard(origin) ? 'wildcard' : undefined)
}

/** The matcher of the ring's origins, made again only when they are others. */
class OriginsOfKeys {
  readonly #ring: () => KeyRing
  #of: readonly string[] = []
  #match: PageOrigins['match'] = () => undefined

  constructor(ring: () => KeyRing) {
    this.#ring = ring
  }

  match(origin: string): Match {
    const origins = this.#ring().browserOrigins(Date.now())
    if (origins !== this.#of) {
      this.#of = origins
      this.#match = matcher(origins)
    }
    return this.#match(origin)
  }
}
