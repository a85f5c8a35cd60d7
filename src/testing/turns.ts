// The host's own, taken before a test's fake timers can take their place.
const { setImmediate: immediate, MessageChannel: Channel } = globalThis as unknown as {
  setImmediate?: (fn: () => void) => unknown
  MessageChannel?: new () => {
    port1: { onmessage: unknown; close(): void }
    port2: { postMessage(message: unknown): void }
  }
}

/** A turn of the event loop: all promises that can settle now have, when it is over. It takes no timer. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => {
    if (immediate !== undefined) return void immediate(() => resolve())
    const { port1, port2 } = new Channel!()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}
