import { collectGarbage } from '../harness.js'

/** Bytes of heap and array buffers that something holds on to. */
export function held(make: () => object): number {
  const used = (): number => {
    collectGarbage()
    collectGarbage()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = used()
  const kept = make()
  const after = used()
  // It must be alive until here.
  if (Object.keys(kept) === undefined) throw new Error('Nothing was made')
  return after - before
}
