import type { Windowed } from '../record.js'

// Windowed keys as text, for stores that know text keys alone. The text has the order of Kafka's bytes: the key, then
// the window's times at a fixed width (TimeWindowedSerializer, SessionKeySchema: the end before the start).

/** Digits of the largest whole number. */
const width = 16
const digits = (time: number): string => String(time).padStart(width, '0')

/** What the texts of all windows of a key begin with. */
export const windowedKeyPrefix = (key: string): string => `${key}\0`

export const windowedKeyText = ({ key, start, end }: Windowed): string =>
  `${windowedKeyPrefix(key)}${digits(end)}${digits(start)}`

export function parseWindowedKey(text: string): Windowed {
  const startAt = text.length - width
  const endAt = startAt - width
  return { key: text.slice(0, endAt - 1), start: Number(text.slice(startAt)), end: Number(text.slice(endAt, startAt)) }
}

/** Of a table's key, whichever kind it is. */
export const keyText = (key: string | Windowed): string => (typeof key === 'string' ? key : windowedKeyText(key))
