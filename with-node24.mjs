// Runs a command with the Node 24 that `npm ci` brings, whatever Node started this: the project's TypeScript runs as it
// is, which older ones can not. Not left to node_modules/.bin: npm 10 makes no link there when the packages of several
// platforms would have the same one.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const names = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`]
const brought = names
  .map((name) => join(root, 'node_modules', name, 'bin'))
  .find((bin) => existsSync(join(bin, 'node')))

if (brought === undefined && Number(process.versions.node.split('.')[0]) < 24) {
  console.error(
    `This needs Node 24, and node_modules has none for ${process.platform} ${process.arch}: run npm ci.`,
  )
  process.exit(1)
}

const [command, ...args] = process.argv.slice(2)
const path = [brought ?? dirname(process.execPath), join(root, 'node_modules', '.bin'), process.env.PATH]
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, PATH: path.join(delimiter) } })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
