/** Those that are worth remembering, since walking through them again would cost more: they hold others, or much. */
const walked = new WeakSet<object>()
const few = 8
/** A record's value is asked for at each step of its way. */
let latest: object | undefined

/**
 * Freezes plain objects and arrays, deeply, so that a callback that changes what it was given throws where it does so.
 * What has a class of its own may need to change itself, so it is left alone.
 */
export function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || value === latest) return
  if (walked.has(value) || !isPlain(value)) return
  Object.freeze(value)
  const keys = Reflect.ownKeys(value)
  // Before what it holds, which may be itself.
  if (keys.length > few) walked.add(value)
  for (const key of keys) {
    const held: unknown = Object.getOwnPropertyDescriptor(value, key)!.value
    if (typeof held !== 'object' || held === null) continue
    walked.add(value)
    deepFreeze(held)
  }
  latest = value
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
