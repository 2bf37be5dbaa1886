import assert from 'node:assert/strict'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { until } from '../support/until.ts'

/* /docs in a browser, used to send a first event. */

const FLAGS = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let browser: Browser
let pipeline: Pipeline
let api: NodeService

before(async () => {
  // With a temporary user data directory, which is removed when the browser is closed.
  browser = await chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS })
  pipeline = await Pipeline.start()
  api = await pipeline.startApi()
  await pipeline.startSink()
})
after(async () => {
  await browser?.close()
  await pipeline?.close()
})

test('trying out POST /event on /docs shows a 202, and the event is in PostgreSQL', async (t) => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1720 } })
  const seen = watch(page)
  t.after(async () => {
    const path = process.env.SCREENSHOT ?? join(mkdtempSync(join(tmpdir(), 'firehose-')), 'docs.png')
    await page.screenshot({ path })
    t.diagnostic(`screenshot: ${path}`)
  })

  await page.goto(`${api.url}/docs`)
  assert.match(await page.title(), /Firehose/)
  const operation = page.locator('.opblock', { has: page.getByText('/event', { exact: true }) })
  await operation.locator('.opblock-summary').click()
  await operation.getByRole('button', { name: 'Try it out' }).click()
  await operation.getByRole('button', { name: 'Execute' }).click()

  const answer = operation.locator('.live-responses-table .response')
  assert.equal((await answer.locator('.response-col_status').innerText()).trim(), '202')
  const shown = await answer.locator('.response-col_description').innerText()
  assert.match(shown, /"status": "accepted"/)
  const [, eventId] = /"event_id": "([0-9a-f-]{36})"/.exec(shown) ?? []
  assert.ok(eventId !== undefined, `no event_id in: ${shown}`)

  const row = await until('the event is stored', async () => {
    const rows = await pipeline.query<{ metadata: object }>(
      'SELECT metadata FROM events WHERE event_id = $1',
      [eventId],
    )
    return rows[0]
  })
  const sent: unknown = JSON.parse(await operation.locator('textarea.body-param__text').inputValue())
  assert.deepEqual({ metadata: row.metadata }, { metadata: (sent as { metadata: object }).metadata })
  assert.equal(await pipeline.countEvents(), 1)

  assert.deepEqual(seen.errors, [])
  assert.deepEqual([...seen.origins], [api.url], 'nothing is fetched from another origin')
})

test('each link on /docs leads to a page of the API or to the licence', async () => {
  const page = await browser.newPage()
  await page.goto(`${api.url}/docs`)
  await page.locator('.opblock').first().waitFor()
  const links = await page.getByRole('link').all()
  const targets = await Promise.all(links.map(async (link) => (await link.getAttribute('href')) ?? ''))
  assert.ok(targets.length > 0)
  for (const target of targets) {
    const url = new URL(target, `${api.url}/docs`)
    if (url.origin !== api.url) assert.equal(url.href, 'https://spdx.org/licenses/Apache-2.0.html')
    else assert.equal((await fetch(url)).status, 200, url.href)
  }
  await page.close()
})

/** Collects the page's requests and errors. */
function watch(page: Page): { origins: Set<string>; errors: string[] } {
  const seen = { origins: new Set<string>(), errors: [] as string[] }
  page.on('request', (request) => {
    if (!request.url().startsWith('data:')) seen.origins.add(new URL(request.url()).origin)
  })
  page.on('response', (response) => {
    if (response.status() >= 400) seen.errors.push(`${response.status()} ${response.url()}`)
  })
  page.on('requestfailed', (request) => seen.errors.push(`${request.failure()?.errorText} ${request.url()}`))
  page.on('pageerror', (error) => seen.errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') seen.errors.push(message.text())
  })
  return seen
}

/** @throws if there is none, with instructions for installing it */
function findChromium(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const places = names.flatMap((name) => ['/usr/bin', ...folders].map((folder) => join(folder, name)))
  const given = process.env.CHROMIUM_PATH
  const found = (given === undefined ? places : [given]).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Error(
    `No Chromium at ${given ?? places.slice(0, 1).join()}: install it (apt-get install chromium) or set CHROMIUM_PATH.`,
  )
}
