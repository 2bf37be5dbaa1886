/* Exits with 1 and a one-line message if the container tests cannot run. */
import { requireDocker } from '../../tools/stack/compose.ts'
import { dockerEngine } from '../../tools/stack/container-service.ts'

try {
  await dockerEngine() // for the integration suite
  await requireDocker() // for the compose tests
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
