// What our tests take from vitest, by node:test and jest's expect(), which stands alone.
export { describe, test } from 'node:test'
export { expect } from 'expect'
