/** Generators for IP addresses as bytes, and for the forms in which they are written. */
import * as fc from 'fast-check'

const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 10, 127, 255))
export const ipv4Bytes = fc.tuple(byte, byte, byte, byte)

const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(0xffff), fc.constantFrom(1, 0xfd00))
export const ipv6Groups = fc.array(group, { minLength: 8, maxLength: 8 })

export const ipv4Text = ipv4Bytes.map((bytes) => bytes.join('.'))

/** With `::` for any one run of zeros, leading zeros, and both cases. */
export const ipv6Text = fc
  .tuple(ipv6Groups, fc.nat(7), fc.nat(8), fc.constantFrom(0, 4), fc.boolean())
  .map(([groups, from, length, width, upper]) => {
    const texts = groups.map((part) => part.toString(16).padStart(width, '0'))
    const run = groups.slice(from, from + length)
    const isZeros = run.length > 0 && run.every((part) => part === 0)
    const end = from + run.length
    const text = isZeros
      ? `${texts.slice(0, from).join(':')}::${texts.slice(end).join(':')}`
      : texts.join(':')
    return upper ? text.toUpperCase() : text
  })

/** An IPv4 address as an IPv6 socket has it. */
export const mappedText = fc.oneof(
  ipv4Text.map((text) => `::ffff:${text}`),
  ipv4Bytes.map(([a, b, c, d]) => `::FFFF:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`),
)

export const addressText = fc.oneof(ipv4Text, ipv6Text, mappedText)
