import { shellWord } from '../platform/shell-word.ts'
import { plural } from '../platform/units.ts'
import { type Access, accessOf } from './check-access.ts'
import { judgeKeys } from './check-keys.ts'
import type { KeyFile, UnusableKeyFile } from './facts-access.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/** What every user of the machine may do, in st_mode. */
const ALL_READ = 0o004
const ALL_WRITE = 0o002
/** In such a folder, only the owner of a file can replace it. */
const STICKY = 0o1000

/** The key file that API_KEYS_FILE names here: whether it can be used, who else can, and which keys need attention. */
export function checkKeyFile({ keyFile, settings, api }: Facts): Finding[] {
  const access = accessOf(api)
  if (keyFile === undefined) return notSeen(api.url, access)
  if (keyFile.kind !== 'read') return [notUsable(api.url, access, keyFile)]
  const { path, keys } = keyFile
  const findings = [
    ...(keys.length === 0 ? [noKey(path)] : notTaken(api.url, access, keyFile)),
    ...openToAll(keyFile),
    ...judgeKeys(keyFile, settings.keyEventsPerSecond),
  ]
  if (findings.length > 0) return findings
  const text = `${path} has ${plural(keys.length, 'key')}: none expires within 14 days, and browser keys have origins and a limit.`
  return [{ check: 'keys', level: 'ok', text }]
}

function notSeen(url: string, access: Access | undefined): Finding[] {
  if (access === undefined) return []
  if (access.keys === undefined) return [noKeysTaken(url)]
  return [
    {
      check: 'keys',
      level: 'note',
      text: `The keys of the API at ${url} cannot be checked, because API_KEYS_FILE is not set here.`,
      mend: `Where the API has its file: API_KEYS_FILE=${shellWord(access.keys.path ?? 'FILE')} npx firehose doctor`,
    },
  ]
}

function noKeysTaken(url: string): Finding {
  return { check: 'keys', level: 'ok', text: `The API at ${url} takes no keys.` }
}

function notUsable(url: string, access: Access | undefined, { kind, problems }: UnusableKeyFile): Finding {
  const isUnreadable = kind === 'unreadable'
  if (isUnreadable && access !== undefined && access.keys === undefined) return noKeysTaken(url)
  const [first = '', ...others] = problems
  const problem = `API_KEYS_FILE ${first}${others.length === 0 ? '' : ` (and ${others.length} more)`}`
  if (isUnreadable && access?.keys !== undefined && access.keys.problem === undefined)
    return {
      check: 'keys',
      level: 'unknown',
      text: `This could not be checked: ${problem}. The API at ${url} can read its own.`,
      mend: 'Run the doctor where the API has its file (with compose: docker compose run --rm cli doctor), as a user who may read it; or use --skip keys.',
    }
  return {
    check: 'keys',
    level: 'warning',
    text: `${problem}. An API that runs keeps the keys that it had; one that is started exits with 78.`,
    mend: 'Correct the file or restore it; npx firehose keys list shows whether it is right.',
  }
}

function noKey(path: string): Finding {
  return {
    check: 'keys',
    level: 'warning',
    text: `${path} has no key: an API that is started with it exits with 78.`,
    mend: 'Make one: npx firehose keys create app --kind server',
  }
}

function notTaken(url: string, access: Access | undefined, { path, keys }: KeyFile): Finding[] {
  if (access === undefined || access.keys !== undefined) return []
  return [
    {
      check: 'keys',
      level: 'warning',
      text: `${path} has ${plural(keys.length, 'key')}, but the API at ${url} takes none: it was started without API_KEYS_FILE.`,
      mend: `Set API_KEYS_FILE=${shellWord(path)} for the API as well, and restart it.`,
    },
  ]
}

/** Permissions of the group are left alone: it may be there for the API. */
function openToAll({ path, mode, folders }: KeyFile): Finding[] {
  const open = folders.filter((each) => (each.mode & ALL_WRITE) !== 0 && (each.mode & STICKY) === 0)
  const isReplaceable = open.length > 0
  if (isReplaceable || (mode & ALL_WRITE) !== 0)
    return [
      {
        check: 'keys',
        level: 'critical',
        text: `Every user of this machine can ${isReplaceable ? 'replace' : 'change'} ${path}, and so make keys.`,
        mend: [
          `chmod o-rwx ${shellWord(path)}`,
          ...open.map((each) => `chmod o-w ${shellWord(each.path)}`),
        ].join(' && '),
      },
    ]
  if ((mode & ALL_READ) === 0) return []
  return [
    {
      check: 'keys',
      level: 'warning',
      text: `Every user of this machine can read ${path}. It has no secret, but says which keys there are, from where they may be used, and until when.`,
      mend: `chmod o-rwx ${shellWord(path)}`,
    },
  ]
}
