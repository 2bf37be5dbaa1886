/**
 * The size of the fault tests: small in `npm test`, and as stated in the README with FULL=1 (`npm run test:full`):
 * 5,000 requests/s over 1,000 connections, outages of 20 s, default settings.
 */
const full = process.env.FULL === '1'

export const scale = full
  ? {
      full,
      rate: 5_000,
      connections: 1_000,
      seconds: 30,
      outageMs: 20_000,
      lockMs: 5_000,
      sinkKills: 10,
      apiKills: 3,
    }
  : {
      full,
      rate: 500,
      connections: 50,
      seconds: 7,
      outageMs: 3_000,
      lockMs: 5_000,
      sinkKills: 3,
      apiKills: 2,
    }

/** So that a short outage is noticed before it ends; at full size, the defaults are tested. */
export const quickTimeouts: NodeJS.ProcessEnv = full
  ? {}
  : { DATABASE_TIMEOUT_MS: '1000', KAFKA_SESSION_TIMEOUT_MS: '2000' }
