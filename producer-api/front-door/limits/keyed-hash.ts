/**
 * HalfSipHash-1-3 (https://github.com/veorq/SipHash), made for tables whose keys strangers choose: who does not know the
 * key of the hash cannot find texts that share a slot, not even by looking at which of them do.
 */
import { getRandomValues } from 'node:crypto'

/** 64 random bits. */
export type HashKey = readonly [number, number]

const START_2 = 0x6c796765
const START_3 = 0x74656462
const LAST_ROUNDS = 3

/** The function that hashes texts, as UTF-16 in little-endian order, to integers of 32 bits. */
export function keyedHash([key0, key1]: HashKey = randomKey()): (text: string) => number {
  return (text) => {
    const words = (text.length >> 1) + 1
    let v0 = key0
    let v1 = key1
    let v2 = key0 ^ START_2
    let v3 = key1 ^ START_3
    // A round for each word, and the last rounds, in which there is no word any more.
    for (let i = 0; i < words + LAST_ROUNDS; i++) {
      const word = i < words ? wordAt(text, 2 * i) : 0
      if (i === words) v2 ^= 0xff
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    return v1 ^ v3
  }
}

/** Two characters; at the end of the text what is left of them, and in the highest byte the text's length in bytes. */
function wordAt(text: string, at: number): number {
  if (at + 1 < text.length) return text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16)
  return (at < text.length ? text.charCodeAt(at) : 0) | (text.length << 25)
}

function randomKey(): HashKey {
  const [key0 = 0, key1 = 0] = getRandomValues(new Int32Array(2))
  return [key0, key1]
}
