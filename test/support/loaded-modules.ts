// For `node --import`: when the process ends, writes the names of the project's modules that it has loaded.
import { writeSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const loaded: string[] = []

registerHooks({
  load: (url, context, nextLoad) => {
    if (url.startsWith('file:')) loaded.push(fileURLToPath(url).replace(root, ''))
    return nextLoad(url, context)
  },
})
process.on('exit', () => writeSync(1, `\nloaded: ${loaded.join(' ')}\n`))
