/**
 * What `await using` calls. Hosts without the symbol (Node's VM contexts, older browsers) get one of their own, which
 * their transpilers look for too.
 */
const asyncDispose: symbol = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')

/** Makes `await using` close what such a class makes. */
export function closesAtDispose(owner: { readonly prototype: { close(): Promise<void> } }): void {
  Object.defineProperty(owner.prototype, asyncDispose, {
    value(this: { close(): Promise<void> }) {
      return this.close()
    },
    configurable: true,
    writable: true,
  })
}
