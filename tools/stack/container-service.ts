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

/** Dockerode's container: testcontainers cannot kill, pause or restart one. */
type DockerContainer = ReturnType<ContainerRuntimeClient['container']['getById']>

/** How to run a service in a container. */
interface Recipe {
  name: string
  image: string
  env: Record<string, string>
  command?: string[]
  /** Port on which the service listens inside the container. */
  innerPort: number
  /** Port on 127.0.0.1 to which it is published. */
  port: number
  /** Whether the service answers on that port; resolves within seconds. */
  answers: () => Promise<boolean>
}

/** A service in its own container, which keeps its port and its data until `remove`. */
export class ContainerService implements ServiceBackend {
  readonly #recipe: Recipe
  readonly #container: DockerContainer

  private constructor(recipe: Recipe, container: DockerContainer) {
    this.#recipe = recipe
    this.#container = container
  }

  /** Creates a container and waits until its service answers. If this process dies, Ryuk removes the container. */
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

  /** Stops it with the image's stop signal; SIGKILL after 10 s. */
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

  /** Removes the container and its data. */
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

  /** A container's port is released a moment after it has exited. */
  async #untilPortIsFree(): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!(await isPortFree(this.#recipe.port))) {
      if (Date.now() > deadline)
        throw new Error(`port ${this.#recipe.port} of ${this.#recipe.name} is still in use`)
      await delay(5)
    }
  }
}

/** Ignores the error that the container is already stopped. */
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
 * @throws {UserError} if none answers
 */
export async function dockerEngine(): Promise<ContainerRuntimeClient> {
  try {
    return await getContainerRuntimeClient()
  } catch {
    throw new UserError(
      'No Docker engine answers: start Docker, or set DOCKER_HOST to the socket of a running engine.',
    )
  }
}

class LocalContainer extends GenericContainer {
  /** Publishes on 127.0.0.1 only; withExposedPorts() alone would publish on all addresses. */
  withLocalPort({ innerPort, port }: Pick<Recipe, 'innerPort' | 'port'>): this {
    this.withExposedPorts({ container: innerPort, host: port })
    this.hostConfig.PortBindings = { [`${innerPort}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(port) }] }
    return this
  }
}

/** A wait strategy that calls our own function. */
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
