import { cpSync, mkdtempSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LEFT_OUT = new Set(['.git', '.firehose', 'node_modules'])

/** Copies the sources into a temporary folder, to be changed there, and links node_modules. @returns the folder */
export function copyOfProject(): string {
  const copy = mkdtempSync(join(tmpdir(), 'firehose-guard-'))
  const isSource = (path: string): boolean => !LEFT_OUT.has(path.slice(root.length).split('/')[0] ?? '')
  cpSync(root, copy, { recursive: true, filter: isSource })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}
