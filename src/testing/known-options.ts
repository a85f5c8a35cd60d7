import { refuse } from './runner.js'

/** An object of these options and no others: a misspelt one would be a test of something else. What is undefined is left out. */
export function checkKnown(what: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) refuse('options', options, 'an object')
  for (const [name, value] of Object.entries(options as object))
    if (value !== undefined && !names.includes(name)) refuse(name, value, `left out (${what}: ${names.join(', ')})`)
}
