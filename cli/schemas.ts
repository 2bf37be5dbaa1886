import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventSchema, recordSchema } from '../event/json-schema.ts'
import { newCommand } from './command.ts'

export const command = newCommand(
  'schemas',
  'Writes schemas/event.schema.json and schemas/record.schema.json from the table of fields (event/fields.ts).',
).action(() => {
  for (const [name, schema] of Object.entries({
    event: eventSchema('bigint'),
    record: recordSchema('bigint'),
  })) {
    const file = fileURLToPath(new URL(`../schemas/${name}.schema.json`, import.meta.url))
    writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`)
    execFileSync('biome', ['format', '--write', '--log-level=error', file], { stdio: 'inherit' })
  }
})
