/**
 * What `await using` calls. Hosts without the symbol (Node's VM contexts, older browsers) get one of their own, which
 * their transpilers look for too.
 */
function closingClass(): abstract new () => AsyncDisposable {
  const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')
  abstract class Closing {
    abstract close(): Promise<void>
    [asyncDispose](): Promise<void> {
      return this.close()
    }
  }
  return Closing as unknown as abstract new () => AsyncDisposable
}

/** Whose instances `await using` closes. Marked as pure, so that a bundle that makes none has none. */
export const Closing: abstract new () => AsyncDisposable = /* @__PURE__ */ closingClass()
