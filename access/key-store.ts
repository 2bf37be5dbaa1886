import { collectProblems, ConfigError } from '../platform/env.ts'
import type { Logger } from '../platform/log.ts'
import { KeyRing } from './key-ring.ts'
import { parseKeysAt, readKeyText, readKeyTextAsync } from './read-key-file.ts'

/** A change must be noticed within 5 s, also on a busy machine. */
const READ_EVERY_MS = 2_000
/** Every problem starts with the name of the setting. */
const SETTING = 'API_KEYS_FILE '

/**
 * The keys that are accepted now. The file is read again and again, and compared by its text: its time and its inode say
 * little where a platform replaces folders and links. While it cannot be used, the last good keys stay.
 */
export class KeyStore {
  readonly #path: string
  readonly #logger: Logger
  readonly #listeners: (() => void)[] = []
  #text: string
  #ring: KeyRing
  #loadedAtMs = Date.now()
  #problem: string | undefined
  #isReading = false
  #timer: NodeJS.Timeout | undefined

  private constructor(path: string, logger: Logger, text: string, ring: KeyRing) {
    this.#path = path
    this.#logger = logger
    this.#text = text
    this.#ring = ring
  }

  /** Reads the file. @throws {ConfigError} if it is missing, empty or wrong, or has no key */
  static open(path: string, logger: Logger): KeyStore {
    const problems: string[] = []
    const store = collectProblems(
      problems,
      () => {
        const text = readKeyText(path)
        const ring = new KeyRing(parseKeysAt(path, text))
        if (ring.keys.length === 0)
          throw new Error(`has no key: ${path} ("npx firehose keys create" adds one)`)
        return new KeyStore(path, logger, text, ring)
      },
      SETTING,
    )
    if (store === undefined) throw new ConfigError(problems)
    return store
  }

  get ring(): KeyRing {
    return this.#ring
  }

  get status(): { path: string; loadedAtMs: number; keys: number; problem: string | undefined } {
    return {
      path: this.#path,
      loadedAtMs: this.#loadedAtMs,
      keys: this.#ring.keys.length,
      problem: this.#problem,
    }
  }

  /** Called after the ring was replaced. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** Reads the file again now and then, until close(). Does not keep the process alive. */
  watch(): void {
    this.#timer ??= setInterval(() => void this.#readAgain(), READ_EVERY_MS).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #readAgain(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    try {
      const text = await readKeyTextAsync(this.#path)
      if (text !== this.#text) this.#replace(text)
      this.#noteProblem(undefined)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.#noteProblem(oneSentence(error.problems))
    } finally {
      this.#isReading = false
    }
  }

  /** A file without keys is accepted here: someone has revoked the last one. @throws {ConfigError} */
  #replace(text: string): void {
    this.#ring = new KeyRing(parseKeysAt(this.#path, text))
    this.#text = text
    this.#loadedAtMs = Date.now()
    this.#logger.info({ keys: this.#ring.keys.length }, 'the keys have changed')
    for (const listener of this.#listeners) listener()
  }

  #noteProblem(problem: string | undefined): void {
    if (problem === this.#problem) return
    this.#problem = problem
    if (problem === undefined) this.#logger.info('the key file can be used again')
    else this.#logger.warn({ problem }, 'the key file cannot be used, so the keys stay as they were')
  }
}

function oneSentence([first, ...others]: readonly string[]): string {
  return `${SETTING}${first}${others.length === 0 ? '' : ` (and ${others.length} more)`}`
}
