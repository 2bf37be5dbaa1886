import type pg from 'pg'

/** PostgreSQL's time, in milliseconds since 1970. @throws the driver's error */
export async function readNowMs(db: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  )
  return rows[0]?.ms ?? Number.NaN
}
