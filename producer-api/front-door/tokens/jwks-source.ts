import { readFileSync, type Stats, statSync } from 'node:fs'
import type { Backoff } from '../../../platform/backoff.ts'
import { systemReason } from '../../../platform/system-reason.ts'

/** Where a JWKS is read from. */
export interface JwksSource {
  /** The address without its query, or the path: for logs. */
  shown: string
  /** The setting that names it. */
  setting: string
  /** How long to wait after a failure. */
  retry: Backoff
  /** @throws an Error that completes a sentence about the JWKS, without anything of what it holds */
  read(signal: AbortSignal): Promise<JwksText>
}

interface JwksText {
  text: string
  /** After this many milliseconds, it is read again. */
  freshMs: number
}

const MAX_BYTES = 1024 * 1024
const TOO_LARGE = 'is larger than 1 MiB'

const FILE_FRESH_MS = 2_000

/** A file, read again every 2 s: it is compared by its content, because a mounted folder is replaced by a rename. */
export function fileSource(path: string): JwksSource {
  return {
    shown: path,
    setting: 'JWT_JWKS_FILE',
    retry: { firstMs: FILE_FRESH_MS, lastMs: FILE_FRESH_MS },
    read: async () => ({ text: readJwksFile(path), freshMs: FILE_FRESH_MS }),
  }
}

/** @throws an Error that completes a sentence about the file */
export function readJwksFile(path: string): string {
  let stats: Stats
  try {
    stats = statSync(path)
    if (stats.isFile() && stats.size <= MAX_BYTES) return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`cannot be read: ${systemReason(error)}`, { cause: error })
  }
  throw new Error(stats.isFile() ? TOO_LARGE : 'is no file')
}

const DEFAULT_FRESH_MS = 5 * 60_000
const MIN_FRESH_MS = 60_000
const MAX_FRESH_MS = 60 * 60_000

/** An address of the issuer, read again when what it answered is no longer fresh. */
export function urlSource(url: URL): JwksSource {
  return {
    shown: `${url.origin}${url.pathname}`,
    setting: 'JWT_JWKS_URL',
    retry: { firstMs: 1_000, lastMs: 30_000 },
    read: (signal) => fetchJwks(url, signal),
  }
}

async function fetchJwks(url: URL, signal: AbortSignal): Promise<JwksText> {
  const headers = { accept: 'application/jwk-set+json, application/json' }
  const response = await answered(fetch(url, { headers, redirect: 'manual', signal }), signal)
  const { status } = response
  if (status !== 200) {
    await response.body?.cancel().catch(() => {})
    throw new Error(
      status >= 300 && status < 400
        ? `answered ${status}, a redirect, which is not followed`
        : `answered ${status}`,
    )
  }
  const text = await answered(limitedText(response), signal)
  if (text === undefined) throw new Error(TOO_LARGE)
  return { text, freshMs: freshMs(response.headers.get('cache-control')) }
}

/** The answer, or an error without anything that the other side has sent. */
async function answered<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (signal.aborted) throw signal.reason as Error
    const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw new Error(`does not answer (${cause.code ?? cause.name})`, { cause: error })
  }
}

/** The body, decompressed; undefined if it is over the limit, in which case the rest is not read. */
async function limitedText({ body }: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    if (bytes > MAX_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** How long an answer is fresh, by its Cache-Control (RFC 9111): between a minute and an hour; 5 minutes without one. */
export function freshMs(cacheControl: string | null): number {
  const seconds = /(?:^|[\s,])max-age=(\d{1,9})(?![^\s,])/i.exec(cacheControl ?? '')?.[1]
  if (seconds === undefined) return DEFAULT_FRESH_MS
  return Math.min(MAX_FRESH_MS, Math.max(MIN_FRESH_MS, Number(seconds) * 1_000))
}
