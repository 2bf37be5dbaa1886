import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir } from '../../embedded/kafka-install.ts'

const run = promisify(execFile)

/**
 * The directory of the programs of a Python environment with public packages (PyPI), which is kept in the download cache.
 * Needs python3 with venv.
 *
 * @param packages with their versions, such as `requests==2.32.5`
 */
export async function pythonWith(...packages: string[]): Promise<string> {
  const key = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12)
  const home = join(cacheDir(), `python-${key}`)
  const complete = join(home, 'complete')
  if (!existsSync(complete)) {
    await run('python3', ['-m', 'venv', '--clear', home])
    await run(join(home, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...packages])
    await writeFile(complete, '')
  }
  return join(home, 'bin')
}
