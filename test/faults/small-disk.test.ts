import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { NO_SMALL_DISK, SmallDisk } from '../../tools/drill/small-disk.ts'
import { until } from '../support/until.ts'

/* The drill's small disk: it holds the only evidence when something goes wrong. */

const target = SmallDisk.tryMount()
const disk = SmallDisk.tryMount()
const skip = disk === undefined || target === undefined ? NO_SMALL_DISK : false
const dir = mkdtempSync(join(tmpdir(), 'firehose-disk-test-'))
after(() => {
  target?.unmount()
  rmSync(dir, { recursive: true })
})

test('data that cannot be copied because the target is full stay on the disk, which is named', {
  skip,
}, async () => {
  assert.ok(disk && target)
  const mount = dirname(disk.place)
  const file = join(disk.place, 'PG_VERSION')
  mkdirSync(disk.place)
  writeFileSync(file, '18')
  target.fill()
  try {
    const full = `${target.place}-of-the-drill`
    assert.throws(() => disk.save(full), { message: new RegExp(`No space left.*"umount ${mount}"\\.$`) })
    assert.equal(existsSync(full), false, 'no partial copy')
    disk.unmount()
    await until('nothing is left that would unmount it', () => !isNamedByProcess(mount))
    assert.equal(readFileSync(file, 'utf8'), '18')
  } finally {
    spawnSync('umount', ['-l', mount])
    rmSync(mount, { recursive: true, force: true })
  }
})

test('data that were copied are removed with the disk', { skip }, async () => {
  const other = SmallDisk.tryMount()
  assert.ok(other)
  mkdirSync(other.place)
  writeFileSync(join(other.place, 'PG_VERSION'), '18')
  other.save(join(dir, 'postgres'))
  other.unmount()
  await until('the disk is gone', () => !existsSync(dirname(other.place)))
  assert.equal(readFileSync(join(dir, 'postgres', 'PG_VERSION'), 'utf8'), '18')
})

function isNamedByProcess(path: string): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(path)
      } catch {
        return false // it has exited
      }
    })
}
