// What our tests take from vitest, by jest's own functions.
export { describe, expect, test } from '@jest/globals'
