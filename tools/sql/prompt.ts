import { createInterface } from 'node:readline/promises'
import type { SqlSession } from './session.ts'

const FIRST = 'firehose> '
const NEXT = '      ... '

/**
 * Reads statements and lines that begin with a backslash from standard input, and runs them, until it ends or `\q`. At a
 * terminal, Ctrl-C cancels the statement that runs, or else forgets what is typed so far.
 */
export async function prompt(session: SqlSession): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: FIRST })
  let closed = false
  let statement = ''
  const ask = (): void => {
    if (!statement.trim()) statement = ''
    lines.setPrompt(statement ? NEXT : FIRST)
    // The input may have ended while the statement ran; lines read before that are still delivered.
    if (!closed) lines.prompt()
  }
  lines.once('close', () => {
    closed = true
  })
  lines.on('SIGINT', () => {
    if (session.isRunning) {
      session.cancel().catch((error: Error) => console.error(`It could not be cancelled: ${error.message}`))
      return
    }
    statement = ''
    lines.write(null, { ctrl: true, name: 'e' })
    lines.write(null, { ctrl: true, name: 'u' })
    console.log('^C')
    ask()
  })
  session.onEnd(() => {
    if (!closed) console.error('\nThe connection to PostgreSQL has ended.')
    lines.close()
  })
  lines.prompt()
  for await (const line of lines) {
    if (/^\s*\\q\b/.test(line) || (!statement && /^\s*(?:exit|quit)\s*;?\s*$/i.test(line))) break
    if (/^\s*\\/.test(line)) {
      await session.run(line)
    } else {
      statement += `${line}\n`
      if (/;\s*$/.test(line)) {
        await session.run(statement)
        statement = ''
      }
    }
    ask()
  }
  lines.close()
}
