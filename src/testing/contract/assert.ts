import { check } from '../runner.js'

/** Fails unless both show alike: for what JSON can say, and undefined. */
export function same(what: string, actual: unknown, expected: unknown): void {
  const [got, wanted] = [shown(actual), shown(expected)]
  check(got === wanted, () => `${what}: expected ${wanted}, got ${got}`)
}

/** As text, whatever the order of an object's properties. */
export function shown(value: unknown): string {
  if (value === undefined) return 'undefined'
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return String(value)
  if (value instanceof Error) return `${value.name}: ${value.message}`
  if (value instanceof Uint8Array) return `bytes ${value.join()}`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{ ${entries.map(([name, entry]) => `${name}: ${shown(entry)}`).join(', ')} }`
}
