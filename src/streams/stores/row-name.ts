// How a changelog names the rows of window and session stores: text that says the same to people as to a restore.

/** `key@12` or `key@12/34`: what is numbered comes last, so that a key may hold any of it. */
export const rowName = (key: string, first: number, second?: number): string =>
  second === undefined ? `${key}@${first}` : `${key}@${first}/${second}`

export function parseRowName(name: string): readonly [key: string, first: number, second: number] {
  const at = name.lastIndexOf('@')
  const slash = name.indexOf('/', at)
  const key = name.slice(0, at)
  return slash === -1
    ? [key, Number(name.slice(at + 1)), 0]
    : [key, Number(name.slice(at + 1, slash)), Number(name.slice(slash + 1))]
}
