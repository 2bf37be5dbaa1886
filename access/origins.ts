/** Origins of pages (https://html.spec.whatwg.org/#origin), and rules that allow some of them. */

/** Scheme, host and perhaps port. Apps have schemes of their own, such as capacitor://localhost. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(\*\.)?[^\s/?#@*,]+$/
/** What browsers send for pages in sandboxes and files. */
const OPAQUE = ['null', 'file://']
const ANY_SUBDOMAIN = '*.'

/**
 * Whether an item is an origin in the form that browsers send (no path, no trailing slash, lowercase, no default port), or
 * one whose host begins with `*.`, for any subdomain.
 */
export function isOriginRule(item: string): boolean {
  if (OPAQUE.includes(item)) return true
  if (!ORIGIN.test(item) || item !== item.toLowerCase()) return false
  const one = item.replace(ANY_SUBDOMAIN, '')
  if (!URL.canParse(one)) return false
  const { origin, protocol } = new URL(one)
  return protocol === 'http:' || protocol === 'https:' ? origin === one : true
}

/** Whether a rule allows an origin. */
export function originMatcher(rules: '*' | readonly string[]): (origin: string) => boolean {
  if (rules === '*') return () => true
  const hasWildcard = (item: string): boolean => item.includes(ANY_SUBDOMAIN)
  const exact = new Set(rules.filter((item) => !hasWildcard(item)))
  const wildcards = rules
    .filter((item) => hasWildcard(item))
    .map((item) => {
      const [scheme = '', domain = ''] = item.split('*')
      return { scheme, domain }
    })
  return (origin) =>
    exact.has(origin) ||
    wildcards.some(
      ({ scheme, domain }) =>
        origin.startsWith(scheme) &&
        origin.endsWith(domain) &&
        ORIGIN.test(origin) &&
        !hasWildcard(origin) &&
        origin.length > scheme.length + domain.length,
    )
}
