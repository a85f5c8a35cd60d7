const frozen = new WeakSet<object>()

/**
 * Freezes plain objects and arrays, deeply, so that a callback that changes what it was given throws where it does so.
 * What has a class of its own may need to change itself, so it is left alone.
 */
export function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || frozen.has(value) || !isPlain(value)) return
  frozen.add(value)
  Object.freeze(value)
  for (const key of Reflect.ownKeys(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key)
    if (property !== undefined && 'value' in property) deepFreeze(property.value)
  }
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
