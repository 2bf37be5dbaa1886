import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installKafka } from '../../embedded/kafka-install.ts'
import { UserError } from '../../embedded/user-error.ts'

export interface Performance {
  bootstrapServers: string
  topic: string
  records: number
  recordBytes: number
  perSecond: number
  lingerMs: number
}

/** Directory of Apache's tools, in the broker's version; Maven downloads them once (1 MB). */
export async function installTools(
  say: (line: string) => void,
): Promise<{ java: string; classPath: string }> {
  const { java, home, jars } = await installKafka(say)
  const version = /kafka-clients-([\d.]+)\.jar/.exec(jars.join(' '))?.[1]
  const dir = join(home, 'tools')
  const jar = join(dir, `kafka-tools-${version}.jar`)
  if (!existsSync(jar)) {
    const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
    const artifact = `-Dartifact=org.apache.kafka:kafka-tools:${version}`
    const { status } = spawnSync('mvn', ['-q', '-B', plugin, artifact, `-DoutputDirectory=${dir}`], {
      stdio: 'ignore',
    })
    if (status !== 0) throw new UserError(`Maven could not download kafka-tools ${version}.`)
  }
  return { java, classPath: [...jars, jar].join(delimiter) }
}

/** Runs Apache's ProducerPerformance, acks=all, not idempotent (nor are we). @throws if it did not send all records */
export async function runProducerPerformance(
  tools: { java: string; classPath: string },
  { bootstrapServers, topic, records, recordBytes, perSecond, lingerMs }: Performance,
): Promise<void> {
  const args = ['--topic', topic, '--num-records', `${records}`, '--record-size', `${recordBytes}`]
  const props = [
    `bootstrap.servers=${bootstrapServers}`,
    'acks=all',
    'enable.idempotence=false',
    `linger.ms=${lingerMs}`,
  ]
  const child = spawn(
    tools.java,
    [
      '-Xmx256m',
      '-cp',
      tools.classPath,
      'org.apache.kafka.tools.ProducerPerformance',
      ...args,
      '--throughput',
      `${perSecond}`,
      '--producer-props',
      ...props,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const [code] = await once(child, 'close')
  if (code !== 0 || !said.includes(`${records} records sent`)) {
    throw new Error(`ProducerPerformance exited with code ${code}: ${said.slice(-300)}`)
  }
}
