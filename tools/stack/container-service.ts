import { setTimeout as delay } from 'node:timers/promises'
import {
  type ContainerRuntimeClient,
  GenericContainer,
  getContainerRuntimeClient,
  StartupCheckStrategy,
  type StartupStatus,
} from 'testcontainers'
import { isPortFree } from '../../embedded/ports.ts'
import { UserError } from '../../embedded/user-error.ts'
import { type ServiceBackend, type ServiceState, stateOfContainer } from './backends.ts'

const answerLimitMs = 120_000
const stopLimitS = 10

/** Docker's own handle of a container: testcontainers has no kill, pause or start of one that was stopped. */
type DockerContainer = ReturnType<ContainerRuntimeClient['container']['getById']>

/** What a container runs. */
interface Recipe {
  name: string
  image: string
  env: Record<string, string>
  command?: string[]
  /** Where the service listens in the container. */
  innerPort: number
  /** Where it is found on 127.0.0.1. */
  port: number
  /** Whether the service itself answers there, said within seconds. */
  answers: () => Promise<boolean>
}

/** One service in one container, which keeps its port and its data until `remove`. */
export class ContainerService implements ServiceBackend {
  readonly #recipe: Recipe
  readonly #container: DockerContainer

  private constructor(recipe: Recipe, container: DockerContainer) {
    this.#recipe = recipe
    this.#container = container
  }

  /** Makes a container and waits until the service in it answers. Should this process die, Ryuk removes it. */
  static async run(recipe: Recipe): Promise<ContainerService> {
    const { container } = await dockerEngine()
    const definition = new LocalContainer(recipe.image)
      .withLocalPort(recipe)
      .withEnvironment(recipe.env)
      .withWaitStrategy(
        new Answers(
          async (id) => await new ContainerService(recipe, container.getById(id)).#untilItAnswers(),
        ),
      )
    if (recipe.command) definition.withCommand(recipe.command)
    const started = await definition.start()
    return new ContainerService(recipe, container.getById(started.getId()))
  }

  async start(): Promise<void> {
    await this.#container.start()
    await this.#untilItAnswers()
  }

  /** Orderly end by the image's own signal; SIGKILL after 10 s. */
  async stop(): Promise<void> {
    await unlessEnded(this.#container.stop({ t: stopLimitS }))
    await this.#untilPortIsFree()
  }

  async kill(): Promise<void> {
    const ended = this.#container.wait()
    await unlessEnded(this.#container.kill({ signal: 'SIGKILL' }))
    await ended
    await this.#untilPortIsFree()
  }

  async freeze(): Promise<void> {
    await this.#container.pause()
  }

  async thaw(): Promise<void> {
    await this.#container.unpause()
  }

  async state(): Promise<ServiceState> {
    return stateOfContainer((await this.#container.inspect()).State.Status)
  }

  /** Ends it and removes its data. */
  async remove(): Promise<void> {
    await this.#container.remove({ force: true, v: true })
  }

  async #untilItAnswers(): Promise<void> {
    const { name, port, answers } = this.#recipe
    const deadline = Date.now() + answerLimitMs
    while (!(await answers())) {
      const { State: state } = await this.#container.inspect()
      const log = async () =>
        (await this.#container.logs({ stdout: true, stderr: true, tail: 15 })).toString()
      if (!state.Running) throw new Error(`${name} ended (${state.ExitCode}) while starting\n${await log()}`)
      if (Date.now() > deadline)
        throw new Error(`${name} did not answer on 127.0.0.1:${port} in time\n${await log()}`)
      await delay(25)
    }
  }

  /** A container has ended a moment before its port is given back. */
  async #untilPortIsFree(): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!(await isPortFree(this.#recipe.port))) {
      if (Date.now() > deadline)
        throw new Error(`port ${this.#recipe.port} of ${this.#recipe.name} stays in use`)
      await delay(5)
    }
  }
}

/** That a container does not run is what was wanted. */
async function unlessEnded(ending: Promise<unknown>): Promise<void> {
  try {
    await ending
  } catch (error) {
    const { statusCode, message } = error as Error & { statusCode?: number }
    if (statusCode !== 304 && !message.includes('is not running')) throw error
  }
}

/**
 * The engine that testcontainers finds.
 *
 * @throws {UserError} in one sentence when none answers
 */
export async function dockerEngine(): Promise<ContainerRuntimeClient> {
  try {
    return await getContainerRuntimeClient()
  } catch {
    throw new UserError(
      'No Docker engine answers: start Docker, or name the socket of one that runs in DOCKER_HOST.',
    )
  }
}

class LocalContainer extends GenericContainer {
  /** withExposedPorts() would publish it on all addresses of the machine. */
  withLocalPort({ innerPort, port }: Pick<Recipe, 'innerPort' | 'port'>): this {
    this.withExposedPorts({ container: innerPort, host: port })
    this.hostConfig.PortBindings = { [`${innerPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(port) }] }
    return this
  }
}

/** A container counts as started when a promise about it is kept. */
class Answers extends StartupCheckStrategy {
  readonly #untilItAnswers: (id: string) => Promise<void>

  constructor(untilItAnswers: (id: string) => Promise<void>) {
    super()
    this.#untilItAnswers = untilItAnswers
  }

  override async checkStartupState(_docker: unknown, id: string): Promise<StartupStatus> {
    await this.#untilItAnswers(id)
    return 'SUCCESS'
  }
}
