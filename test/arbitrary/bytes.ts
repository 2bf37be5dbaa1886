/** Generators for bytes that are nearly UTF-8. */
import * as fc from 'fast-check'

/** Invalid UTF-8 (stray bytes, overlong forms, surrogates, code points above U+10FFFF) and valid sequences next to it. */
const SEQUENCES = [
  '80',
  'bf',
  'c0',
  'c080',
  'c1bf',
  'c280',
  'c2',
  'dfbf',
  'e08080',
  'e09fbf',
  'e0a080',
  'ed9fbf',
]
  .concat([
    'eda080',
    'edbfbf',
    'ee8080',
    'efbfbf',
    'efbbbf',
    'e282',
    'f0808080',
    'f08fbfbf',
    'f0908080',
    'f09f98',
  ])
  .concat(['f48fbfbf', 'f4908080', 'f5808080', 'f8888080', 'fe', 'ff', 'f09f9880', '00'])
  .map((hex) => Buffer.from(hex, 'hex'))

/** The bytes of a text with one of these inserted or one byte replaced. */
export function spoiledBytes(text: fc.Arbitrary<string>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(text, fc.constantFrom(...SEQUENCES), fc.nat(), fc.boolean())
    .map(([valid, sequence, where, replace]) => {
      const bytes = Buffer.from(valid)
      // Preferably inside strings, that is, after a quote.
      const quote = bytes.indexOf(0x22)
      const at = quote >= 0 && where % 3 > 0 ? quote + 1 : where % (bytes.length + 1)
      return Buffer.concat([bytes.subarray(0, at), sequence, bytes.subarray(replace ? at + 1 : at)])
    })
}
