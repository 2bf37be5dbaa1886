import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { newId, serverProperties } from './kafka-config.ts'
import { UserError } from './user-error.ts'

const version = '4.3.0'
const log4jVersion = '2.25.3'
const minJava = 17

/** Everything needed to run a broker on this machine. */
export interface KafkaInstall {
  java: string
  /** A class data sharing archive works only with the exact Java build that wrote it. */
  javaVersion: string
  /** Cache directory with the jars and the files derived from them. */
  home: string
  jars: string[]
}

const helpLine =
  process.platform === 'darwin'
    ? 'brew install openjdk@17 maven'
    : 'apt-get install openjdk-17-jre-headless maven'

/** Download cache shared by all checkouts of this user. */
export function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'firehose')
}

/**
 * Finds Java and the jars; on the first call on a machine, Maven downloads them.
 *
 * @param say receives progress messages
 * @throws {UserError} if Java or Maven is missing or the download fails
 */
export async function installKafka(say: (line: string) => void, signal?: AbortSignal): Promise<KafkaInstall> {
  const java = findJava()
  const home = join(cacheDir(), `kafka-${version}`)
  if (!existsSync(home)) await download(home, java.path, say, signal)
  const libs = join(home, 'libs')
  // Sorted, because a class data sharing archive is valid only for the same class path in the same order.
  const jars = readdirSync(libs).toSorted()
  return { java: java.path, javaVersion: java.version, home, jars: jars.map((jar) => join(libs, jar)) }
}

/** The class data sharing archive for this Java build, which halves the start time. */
export function archiveFile(install: KafkaInstall): string {
  return join(install.home, `classes-${install.javaVersion}.jsa`)
}

function findJava(): { path: string; version: string } {
  const { JAVA_HOME } = process.env
  // Homebrew does not link its versioned JDKs into PATH.
  const brew = ['/opt/homebrew', '/usr/local'].flatMap((root) =>
    ['openjdk@17', 'openjdk@21', 'openjdk'].map((name) => `${root}/opt/${name}/bin/java`),
  )
  let tooOld = ''
  for (const path of [...(JAVA_HOME ? [join(JAVA_HOME, 'bin', 'java')] : []), 'java', ...brew]) {
    const { stdout, stderr } = spawnSync(path, ['-version'], { encoding: 'utf8' })
    const found = /version "((\d+)[^"]*)"/.exec(`${stderr}${stdout}`)
    if (!found?.[1]) continue
    if (Number(found[2]) >= minJava) return { path, version: found[1] }
    tooOld ||= found[1]
  }
  const problem = tooOld ? `Java ${tooOld} is too old` : 'Java was not found'
  throw new UserError(
    `${problem}: the embedded Kafka needs Java ${minJava} or later and Maven. Install them with` +
      ` \`${helpLine}\`, or use Docker instead: \`docker compose up\`.`,
  )
}

async function download(
  home: string,
  java: string,
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (spawnSync('mvn', ['-v']).error) {
    throw new UserError(
      `Maven was not found: it downloads the jars of the embedded Kafka, once. Install it with` +
        ` \`${helpLine}\`, or use Docker instead: \`docker compose up\`.`,
    )
  }
  const parent = dirname(home)
  mkdirSync(parent, { recursive: true })
  // Built in a temporary directory and renamed at the end, so an interrupted download leaves no partial cache.
  const temp = mkdtempSync(`${home}.part-`)
  try {
    say(`Downloading Apache Kafka ${version} with Maven to ${home} (about 45 MB, once)`)
    await runMaven(temp, say, signal)
    format(temp, java)
    say(`Apache Kafka ${version} is installed (${megabytes(join(temp, 'libs'))} MB)`)
    try {
      renameSync(temp, home)
    } catch (error) {
      // Another launcher may have installed the same files in the meantime.
      if (!existsSync(home)) throw error
    }
  } finally {
    rmSync(temp, { recursive: true, force: true })
  }
}

function runMaven(dir: string, say: (line: string) => void, signal: AbortSignal | undefined): Promise<void> {
  writeFileSync(join(dir, 'pom.xml'), pom())
  writeFileSync(join(dir, 'log4j2.properties'), log4j)
  const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
  const args = ['-B', plugin, `-DoutputDirectory=${join(dir, 'libs')}`, '-DincludeScope=runtime']
  const child = spawn('mvn', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) })
  const errors: string[] = []
  let kilobytes = 0
  let said = 0
  const read = (line: string) => {
    if (/^\[(ERROR|FATAL)\]|^Error/.test(line)) errors.push(line)
    const size = /^\S*\s*Downloaded from .*\(([\d.]+) (kB|MB) at/.exec(line)
    if (!size) return
    kilobytes += Number(size[1]) * (size[2] === 'MB' ? 1000 : 1)
    if (kilobytes - said < 10_000) return
    said = kilobytes
    say(`  ${Math.round(kilobytes / 1000)} MB`)
  }
  createInterface({ input: child.stdout }).on('line', read)
  createInterface({ input: child.stderr }).on('line', read)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) return resolve()
      const reason = errors[0]?.replace(/^\[ERROR\] /, '') ?? `mvn exited with code ${code}`
      reject(new UserError(`Maven could not download Kafka: ${reason}`))
    })
  })
}

/** Formats an empty log directory once; later ones are formatted by copying its bootstrap.checkpoint. */
function format(dir: string, java: string): void {
  writeFileSync(
    join(dir, 'server.properties'),
    serverProperties({ port: 9092, advertisedPort: 9092, controllerPort: 9093, dataDir: 'formatted' }),
  )
  const args = ['-cp', join(dir, 'libs', '*'), 'kafka.tools.StorageTool']
  const { status, stderr } = spawnSync(java, [...args, 'format', '-t', newId(), '-c', 'server.properties'], {
    cwd: dir,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`Kafka's StorageTool failed: ${stderr}`)
}

function megabytes(dir: string): number {
  const sizes = readdirSync(dir).map((name) => statSync(join(dir, name)).size)
  return Math.round(sizes.reduce((sum, size) => sum + size, 0) / 1e6)
}

function dependency(group: string, artifact: string, release: string): string {
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${release}</version></dependency>`
}

function pom(): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>firehose</groupId><artifactId>embedded-kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', version)}
    ${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', log4jVersion)}
  </dependencies>
</project>
`
}

// Without a binding, SLF4J logs nothing at all, not even the broker's errors.
const log4j = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
`
