import type { StreamKey } from 'millrace/streams'
import type { Content } from './case.js'

// The callbacks that the cases' topologies are made of. Vocabulary.java has the same, name by name.

const MODULUS = 1_000_003
/** Of a join, what is not there is undefined; the oracle has null for both. */
type Found = Content | undefined

export function text(value: Found | StreamKey): string {
  if (value === null || value === undefined) return '~'
  return typeof value === 'object' ? `${value.key}@${value.start}/${value.end}` : String(value)
}

export function number(value: Found): number {
  if (value === null || value === undefined) return 0
  return typeof value === 'number' ? value : [...value].length
}

/** Its value by `name`; what it does not know is a mistake in the case. */
function named<F>(what: string, table: Record<string, F>, name: string): F {
  const found = Object.hasOwn(table, name) ? table[name] : undefined
  if (found === undefined) throw new Error(`no ${what} ${name}`)
  return found
}

/** The last twelve characters. */
export const cut = (of: string): string => [...of].slice(-12).join('')
const characters = (value: Found, most: number): string[] => [...text(value)].slice(0, most)
const isEven = (value: Found): boolean => number(value) % 2 === 0

const predicates: Record<string, (value: Content, key: StreamKey) => boolean> = {
  isEven,
  isThird: value => number(value) % 3 === 0,
  isShort: value => number(text(value)) < 3,
  isThere: value => value !== null,
  isLowKey: (_, key) => text(key) < 'b',
  all: () => true,
  none: () => false,
}
export const predicate = (name: string): ((value: Content, key: StreamKey) => boolean) =>
  named('predicate', predicates, name)

const mappers: Record<string, (value: Content, key: StreamKey) => Content> = {
  same: value => value,
  upper: value => text(value).toUpperCase(),
  length: value => number(value),
  increment: value => (number(value) + 1) % MODULUS,
  half: value => Math.trunc(number(value) / 2),
  text: value => text(value),
  withKey: (value, key) => cut(`${text(value)}/${text(key)}`),
  nothingIfOdd: value => (isEven(value) ? value : null),
  throwsAtSeven: value => {
    if (number(value) % 10 === 7) throw new Error('seven')
    return value
  },
}
export const mapper = (name: string): ((value: Content, key: StreamKey) => Content) => named('mapper', mappers, name)

const keys: Record<string, (value: Content, key: any) => any> = {
  same: (_, key) => key,
  text: (_, key) => text(key),
  textOfValue: value => text(value),
  ofValue: value => characters(value, 1).join(''),
  modulo: value => `g${((number(value) % 3) + 3) % 3}`,
  constant: () => 'c',
  nothingIfOdd: (value, key) => (isEven(value) ? text(key) : null),
}
/** Of the key's own type, where it stays; else text or null. */
export const keyMapper = (name: string): ((value: Content, key: any) => any) => named('key mapper', keys, name)

const flatMappers: Record<string, (value: Content) => Content[]> = {
  twice: value => [value, value],
  characters: value => characters(value, 3),
  none: () => [],
}
export const flatMapper = (name: string): ((value: Content) => Content[]) => named('flat mapper', flatMappers, name)

const pairMappers: Record<string, (value: Content, key: StreamKey) => (readonly [string, Content])[]> = {
  twice: (value, key) => [
    [text(key), value],
    ['t', number(value)],
  ],
  characters: value => characters(value, 3).map(one => [one, number(value)] as const),
  none: () => [],
}
export const pairMapper = (name: string): ((value: Content, key: StreamKey) => (readonly [string, Content])[]) =>
  named('flat mapper', pairMappers, name)

const sum = (left: Found, right: Found): number => (number(left) + number(right)) % MODULUS

const combiners: Record<string, (left: Found, right: Found, key: StreamKey) => Found> = {
  sum,
  minus: (left, right) => (number(left) - number(right)) % MODULUS || 0,
  concat: (left, right) => cut(text(left) + text(right)),
  pair: (left, right) => cut(`(${text(left)},${text(right)})`),
  withKey: (left, right, key) => cut(`${text(key)}:${text(left)}${text(right)}`),
  max: (left, right) => (number(right) > number(left) ? right : left),
  first: left => left,
  last: (_, right) => right,
  without: (left, right) => {
    const from = text(left)
    const what = text(right)
    const at = what === '' ? -1 : from.indexOf(what)
    return at < 0 ? from : from.slice(0, at) + from.slice(at + what.length)
  },
  nothingIfThird: (left, right) => (sum(left, right) % 3 === 0 ? null : sum(left, right)),
}
/** Reducers, aggregators, mergers and joiners: the left one, or the aggregate, first. */
export const combiner = (name: string): ((left: any, right: any, key?: any) => any) =>
  named('combiner', combiners, name) as (left: any, right: any, key?: any) => any

export const initial = (name: string): (() => Content) =>
  named('initial value', { zero: () => 0, empty: () => '', nothing: () => null } as Record<string, () => Content>, name)

const timestamps: Record<string, (value: Content, timestamp: number) => number> = {
  plusTen: (_, timestamp) => timestamp + 10,
  ofValue: (value, timestamp) => (typeof value === 'number' && value >= 0 ? value : timestamp),
}
export const timestampOf = (name: string): ((value: Content, timestamp: number) => number) =>
  named('timestamp', timestamps, name)
