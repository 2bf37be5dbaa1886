import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Key } from '../../../access/key-file.ts'
import { KeyRing, type LiveKey } from '../../../access/key-ring.ts'
import { type KeyKind, newSecret } from '../../../access/secret.ts'

const NOW_MS = Date.UTC(2027, 0, 1)

function made(label: string, kind: KeyKind, ends: readonly (number | undefined)[], origins: string[] = []) {
  const texts = ends.map((expiresMs) => ({ ...newSecret(kind), expiresMs }))
  const secrets = texts.map(({ id, sha256, expiresMs }) => ({ id, sha256, createdMs: 0, expiresMs }))
  const key: Key = { label, kind, origins, eventsPerSecond: undefined, burst: undefined, secrets }
  return { key, texts: texts.map(({ text }) => text) }
}

function found(ring: KeyRing, text: string | undefined, nowMs = NOW_MS): LiveKey {
  const live = ring.find(text ?? '', nowMs)
  assert.ok(typeof live === 'object', live === 'expired' ? live : 'not found')
  return live
}

test('each secret of a key is found, with its id and its end, the first time and later', () => {
  const { key, texts } = made('shop', 'server', [NOW_MS + 1_000, undefined])
  const ring = new KeyRing({ keys: [key] })
  for (const _ of ['first', 'again']) {
    const [old, young] = texts.map((text) => found(ring, text))
    assert.equal(old?.key, key)
    assert.deepEqual([old?.secretId, old?.expiresMs], [key.secrets[0]?.id, NOW_MS + 1_000])
    assert.equal(young?.key, key)
    assert.deepEqual([young?.secretId, young?.expiresMs], [key.secrets[1]?.id, Number.POSITIVE_INFINITY])
  }
})

test('a secret is good up to the millisecond at which it expires, however often it was found before', () => {
  const { key, texts } = made('shop', 'server', [NOW_MS])
  const ring = new KeyRing({ keys: [key] })
  for (const _ of ['first', 'again']) {
    assert.equal(found(ring, texts[0], NOW_MS - 1).key, key)
    assert.equal(ring.find(texts[0] ?? '', NOW_MS), 'expired')
    assert.equal(ring.find(texts[0] ?? '', NOW_MS + 1), 'expired')
  }
})

test('nothing but the whole text is found', () => {
  const { key, texts } = made('shop', 'server', [undefined])
  const ring = new KeyRing({ keys: [key] })
  const text = texts[0] ?? ''
  fc.assert(
    fc.property(fc.nat(text.length), fc.string(), fc.boolean(), (at, other, warm) => {
      const wrong = text.slice(0, at) + other
      fc.pre(wrong !== text)
      if (warm) found(ring, text)
      assert.equal(ring.find(wrong, NOW_MS), undefined)
    }),
  )
  const { id, sha256 } = key.secrets[0]!
  for (const wrong of ['', id, sha256, 'shop', `${text} `, ` ${text}`, text.toLowerCase()])
    assert.equal(ring.find(wrong, NOW_MS), undefined)
})

test('an empty ring finds nothing', () => {
  const ring = new KeyRing({ keys: [] })
  assert.equal(ring.find(newSecret('server').text, NOW_MS), undefined)
  assert.deepEqual(ring.browserOrigins(NOW_MS), [])
})

test('a browser key allows its own origins, and a key without origins none', () => {
  const shop = made('shop', 'browser', [undefined], ['https://shop.example', 'https://*.shop.example'])
  const blog = made('blog', 'browser', [undefined], ['https://blog.example'])
  const server = made('server', 'server', [undefined])
  const ring = new KeyRing({ keys: [shop.key, blog.key, server.key] })
  const allows = (text: string | undefined, origin: string): boolean => found(ring, text).allowsOrigin(origin)
  assert.ok(allows(shop.texts[0], 'https://shop.example') && allows(shop.texts[0], 'https://a.shop.example'))
  assert.ok(allows(blog.texts[0], 'https://blog.example'))
  assert.ok(!allows(shop.texts[0], 'https://blog.example') && !allows(blog.texts[0], 'https://shop.example'))
  assert.ok(!allows(server.texts[0], 'https://shop.example') && !allows(server.texts[0], 'null'))
})

test('the origins of browser keys are those of live secrets, each once, as time goes by', () => {
  const keys = [
    made('a', 'browser', [NOW_MS + 1_000, NOW_MS + 2_000], ['https://a.example', 'https://both.example']),
    made('b', 'browser', [NOW_MS + 5_000], ['https://b.example', 'https://both.example']),
    made('c', 'browser', [NOW_MS], ['https://c.example']),
  ].map(({ key }) => key)
  const ring = new KeyRing({ keys })
  const all = ['https://a.example', 'https://both.example', 'https://b.example']
  assert.deepEqual(ring.browserOrigins(NOW_MS), all)
  assert.equal(ring.browserOrigins(NOW_MS + 1_999), ring.browserOrigins(NOW_MS), 'nothing is computed again')
  assert.deepEqual(ring.browserOrigins(NOW_MS + 2_000), ['https://b.example', 'https://both.example'])
  assert.deepEqual(ring.browserOrigins(NOW_MS + 5_000), [])
})

test('when the clock is set back, the origins of keys that are live again are allowed again', () => {
  const { key, texts } = made('a', 'browser', [NOW_MS + 1_000], ['https://a.example'])
  const ring = new KeyRing({ keys: [key] })
  assert.deepEqual(ring.browserOrigins(NOW_MS + 1_000), [])
  assert.ok(found(ring, texts[0]).allowsOrigin('https://a.example'))
  assert.deepEqual(ring.browserOrigins(NOW_MS), ['https://a.example'])
})
