import { readFile, writeFile } from 'node:fs/promises'
import { apiSettings } from '../producer-api/config.ts'
import { kafkaSettings } from '../kafka/settings.ts'
import { maintainSettings } from '../maintenance/config.ts'
import type { Settings } from '../platform/env.ts'
import { sinkSettings } from '../sink-worker/config.ts'
import { newCommand } from './command.ts'

const README = new URL('../README.md', import.meta.url)
const BEGIN = '<!-- settings: made by `npm run settings` -->'
const END = '<!-- /settings -->'

export const command = newCommand(
  'settings',
  "Generates the README's table of settings from the code.",
).action(async () => {
  await writeFile(README, withSettings(await readFile(README, 'utf8')))
})

/** The README with its table of settings generated from the code. @throws if the markers are missing */
export function withSettings(readme: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin === -1 || end < begin) throw new Error('README.md lacks the markers of its settings table')
  return `${readme.slice(0, begin + BEGIN.length)}\n${tables()}${readme.slice(end)}`
}

function tables(): string {
  const only = (settings: Settings, others: Settings = kafkaSettings): Settings =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => !(name in others)))
  return [
    table('Both services: Kafka', kafkaSettings),
    table('producer-api', only(apiSettings)),
    table('sink-worker', only(sinkSettings)),
    table('maintain; the first two also migrate', only(maintainSettings, sinkSettings)),
  ].join('\n')
}

function table(title: string, settings: Settings): string {
  const rows = Object.entries(settings).map(
    ([name, { defaultText, doc, secret }]) =>
      `| \`${name}\`${secret ? `, \`${name}_FILE\`` : ''} | ${defaultText === '' ? '' : `\`${defaultText}\``} | ${doc} |`,
  )
  return [`| ${title} | default | |`, '|---|---|---|', ...rows, ''].join('\n')
}
