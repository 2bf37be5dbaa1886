/** A setting of the doctor's own session. */
export interface SessionSetting {
  name: string
  value: string
  unit: string | null
  /** Whether it was set for the doctor's own role. */
  ofRole: boolean
}

/** A setting made for a role, a database, or a role in a database (ALTER ROLE ... [IN DATABASE ...] SET). */
export interface OwnSetting {
  role: string | null
  ofDatabase: boolean
  name: string
  value: string
}

/**
 * The settings that apply to sessions of another role, in this order: those of the role in this database, of the role, of
 * the database, of the server. The server's are known from the doctor's own session, unless they are set for its own
 * role. Pure.
 */
export function effectiveSettings(
  role: string,
  self: string,
  session: readonly SessionSetting[],
  own: readonly OwnSetting[],
): Record<string, string> {
  const rank = (setting: OwnSetting): number => (setting.role === null ? 0 : 2) + (setting.ofDatabase ? 1 : 0)
  const values: Record<string, string> = {}
  for (const { name, value, unit, ofRole } of session) {
    if (role === self || !ofRole) values[name] = `${value}${unit ?? ''}`
    if (role === self) continue
    const applies = own.filter((one) => one.name === name && (one.role === role || one.role === null))
    const nearest = applies.toSorted((a, b) => rank(b) - rank(a))[0]
    if (nearest !== undefined) values[name] = nearest.value
  }
  return values
}
