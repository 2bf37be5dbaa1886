// The `cli` service of docker-compose.yml: the commands that need only Kafka and PostgreSQL.
const commands = {
  verify: 'compare what Kafka holds with what PostgreSQL holds',
  doctor: 'find what would lose or delay events in this installation',
  sink: 'adopt | rewind: resolve offsets that stopped a partition',
  dlq: 'list | show | replay | discard: work on records that could not be stored',
  migrate: 'create or update the tables',
}

const [name = '', ...args] = process.argv.slice(2)
if (!Object.hasOwn(commands, name) || (name === 'sink' && args.length === 0)) {
  const lines = Object.entries(commands).map(([command, what]) => `  ${command.padEnd(10)}${what}`)
  process.stderr.write(`Usage: docker compose run --rm cli COMMAND [--help]\n\n${lines.join('\n')}\n`)
  process.exitCode = 64 // EX_USAGE of sysexits.h
} else {
  process.argv.splice(2, 1)
  await import(`./${name}.ts`)
}
