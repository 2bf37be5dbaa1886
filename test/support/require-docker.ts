/* Ends with one sentence and 1 where the container tests cannot run. */
import { requireDocker } from '../../tools/stack/compose.ts'
import { dockerEngine } from '../../tools/stack/container-service.ts'

try {
  await dockerEngine() // of the integration suite
  await requireDocker() // of the compose tests
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
