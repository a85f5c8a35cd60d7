/// <reference path="./murmurhash-js.d.ts" />
import murmurhash from 'murmurhash-js'
import { show } from './errors.js'
import type { Key } from './record.js'

// Kafka: Utils.murmur2
const SEED = 0x9747b28c
const NON_ASCII = /[\u0080-\uffff]/

const encoder = new TextEncoder()
/** Room for keys of up to 128 characters; encoding into it costs a third of a fresh array. */
const scratch = new Uint8Array(384)

// Keys come again, and a hash that is known costs a quarter of one that is not: a third of what publishing costs. One
// place for all keys that end alike, so that the memory is bounded and a key that never comes again costs little more.
// Short keys alone: V8 may keep the whole text alive that a longer one was cut out of.
const PLACES = 4_096
const LONGEST_KNOWN = 12
const knownKeys: string[] = new Array(PLACES).fill('')
const knownHashes = new Int32Array(PLACES)

/**
 * Kafka's murmur2 of the key's UTF-8 bytes (or the bytes given): signed, 32 bits.
 *
 * A lone surrogate counts as U+FFFD, as `TextEncoder` and `Buffer` write it.
 *
 * @throws TypeError for what is neither text nor bytes.
 */
export function murmur2(key: Key): number {
  if (typeof key !== 'string' || key.length > LONGEST_KNOWN || key.length < 3) return hash(key)
  const { length } = key
  const place =
    (key.charCodeAt(length - 1) ^ (key.charCodeAt(length - 2) << 4) ^ (key.charCodeAt(length - 3) << 8)) & (PLACES - 1)
  if (knownKeys[place] === key) return knownHashes[place]!
  const found = hash(key)
  knownKeys[place] = key
  knownHashes[place] = found
  return found
}

function hash(key: Key): number {
  return murmurhash.murmur2(byteString(key), SEED) | 0
}

/**
 * The text whose characters are the key's bytes. murmurhash-js takes the low byte of each UTF-16 unit, so anything but
 * ASCII must be encoded first; and by hand, since the "latin1" of TextDecoder is windows-1252.
 */
function byteString(key: Key): string {
  if (typeof key !== 'string') {
    // Not `instanceof`: a test runner's realm has another Uint8Array.
    if (Object.prototype.toString.call(key) !== '[object Uint8Array]')
      throw new TypeError(`A key must be text or a Uint8Array; got ${show(key)}`)
    return fromBytes(key, key.length)
  }
  if (!NON_ASCII.test(key)) return key
  if (key.length * 3 <= scratch.length) return fromBytes(scratch, encoder.encodeInto(key, scratch).written)
  const bytes = encoder.encode(key)
  return fromBytes(bytes, bytes.length)
}

/** Four bytes a step, half the time of one by one. */
function fromBytes(bytes: Uint8Array, length: number): string {
  let text = ''
  let i = 0
  for (; i + 4 <= length; i += 4) text += String.fromCharCode(bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!)
  for (; i < length; i++) text += String.fromCharCode(bytes[i]!)
  return text
}
