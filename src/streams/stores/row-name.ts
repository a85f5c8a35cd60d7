// How a changelog names the rows of window and session stores: text that says the same to people as to a restore.

/** `key@12/34`: what is numbered comes last, so that a key may hold any of it. */
export const rowName = (key: string, ...numbers: readonly number[]): string => `${key}@${numbers.join('/')}`

export function parseRowName(name: string): readonly [key: string, ...numbers: readonly number[]] {
  const at = name.lastIndexOf('@')
  return [
    name.slice(0, at),
    ...name
      .slice(at + 1)
      .split('/')
      .map(Number),
  ]
}
