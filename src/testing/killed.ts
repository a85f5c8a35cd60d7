import type { MemoryConsumer } from '../index.js'

/** Killed code does not go on: what it has waited for never comes. */
export function unlessKilled<T>(promise: PromiseLike<T>, killed: () => boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    promise.then(
      value => {
        if (!killed()) resolve(value)
      },
      error => {
        if (!killed()) reject(error)
      },
    )
  })
}

/** A consumer whose promises are kept only while its process lives. */
export function whileAlive(consumer: MemoryConsumer<any>, killed: () => boolean): void {
  const alive =
    <Args extends readonly unknown[], T>(call: (...args: Args) => Promise<T>): ((...args: Args) => Promise<T>) =>
    (...args) =>
      unlessKilled(call.apply(consumer, args as never), killed)
  const steps = consumer[Symbol.asyncIterator].bind(consumer)
  Object.assign(consumer, {
    poll: alive(consumer.poll),
    run: alive(consumer.run),
    commit: alive(consumer.commit),
    ready: alive(consumer.ready),
    close: alive(consumer.close),
    [Symbol.asyncIterator]: () => {
      const inner = steps()
      return {
        next: () => unlessKilled(inner.next(), killed),
        return: () => unlessKilled(inner.return!(), killed),
      }
    },
  })
}
