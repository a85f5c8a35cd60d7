const settled = Promise.resolve()

/** In a microtask of its own. By a promise, since jest's fake timers take queueMicrotask along with the clock. */
export function soon(act: () => void): void {
  void settled.then(act)
}
