/**
 * A short text that tells a value from the one it replaced: equal values, equal texts, also after a way through JSON.
 * 64 bits of its JSON are enough for that, as only versions of one row are ever compared. Kafka: Murmur3.hash128 of the
 * serialized value.
 */
export function fingerprintOf(value: unknown): string {
  const text = JSON.stringify(value, readable) ?? 'undefined'
  return hash(text, 0x811c9dc5, 0x01000193) + hash(text, 0x9747b28c, 0x5bd1e995)
}

/** What JSON would refuse or take for nothing. */
function readable(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Map || value instanceof Set) return [...value]
  return value
}

/** FNV-1a over UTF-16 units with a final avalanche (MurmurHash3's), with two starts and factors. */
function hash(text: string, start: number, factor: number): string {
  let h = start
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), factor)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return ((h ^ (h >>> 16)) >>> 0).toString(16).padStart(8, '0')
}
