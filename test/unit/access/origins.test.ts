import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOriginRule, originMatcher } from '../../../access/origins.ts'

test('an item is an origin as browsers send it, of a page or an app, or has a wildcard for the subdomain', () => {
  for (const item of [
    'https://shop.example',
    'http://localhost:3000',
    'https://[::1]:8443',
    'https://xn--caf-dma.example',
    'capacitor://localhost',
    'tauri://localhost',
    'chrome-extension://abcdefghijklmnop',
    'null',
    'file://',
    'https://*.shop.example',
    'https://*.shop.example:8443',
  ]) {
    assert.ok(isOriginRule(item), item)
  }
  for (const item of [
    'shop.example',
    'https://shop.example/',
    'https://shop.example:443',
    'https://Shop.example',
    'https://user@shop.example',
    'https://shop.example?a',
    'https://shop.*',
    'https://a*.example',
    'https://*',
    'https://*.',
    'https://*.*.example',
    'https://',
    '*.example',
    '',
  ]) {
    assert.ok(!isOriginRule(item), item)
  }
})

test('a wildcard is one or more labels before the domain, with the same scheme and port', () => {
  const matches = originMatcher([
    'https://*.shop.example',
    'https://exact.example',
    'http://*.dev.example:3000',
  ])
  for (const origin of [
    'https://a.shop.example',
    'https://a.b.shop.example',
    'https://exact.example',
    'http://x.dev.example:3000',
  ]) {
    assert.ok(matches(origin), origin)
  }
  for (const origin of [
    'https://shop.example',
    'https://.shop.example',
    'http://a.shop.example',
    'https://a.shop.example:8443',
    'https://evilshop.example',
    'https://evil.example/.shop.example',
    'https://evil.example#.shop.example',
    'https://a.exact.example',
    'http://x.dev.example',
    'https://*.shop.example',
    'null',
    '',
  ]) {
    assert.ok(!matches(origin), origin)
  }
})
