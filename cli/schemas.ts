import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { eventSchema, recordSchema } from '../event/json-schema.ts'

const HELP = `Writes schemas/event.schema.json and schemas/record.schema.json from the table of fields (event/fields.ts).

npm run schemas
`

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } })
if (values.help) process.stdout.write(HELP)
else {
  for (const [name, schema] of Object.entries({ event: eventSchema, record: recordSchema })) {
    const file = fileURLToPath(new URL(`../schemas/${name}.schema.json`, import.meta.url))
    writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`)
    execFileSync('biome', ['format', '--write', '--log-level=error', file], { stdio: 'inherit' })
  }
}
