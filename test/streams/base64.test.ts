import { expect, test } from 'vitest'
import { fromBase64, toBase64 } from '../../src/streams/base64.js'

test.each([
  ['', ''],
  ['f', 'Zg=='],
  ['fo', 'Zm8='],
  ['foo', 'Zm9v'],
  ['foob', 'Zm9vYg=='],
  ['fooba', 'Zm9vYmE='],
  ['foobar', 'Zm9vYmFy'],
])('RFC 4648, 10: %j is %j', (text, encoded) => {
  const bytes = new TextEncoder().encode(text)
  expect(toBase64(bytes)).toBe(encoded)
  expect(fromBase64(encoded)).toEqual(bytes)
})

test('every byte comes back, at every place', () => {
  for (let length = 0; length < 260; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) % 256)
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
    expect(fromBase64(toBase64(bytes))).toEqual(bytes)
  }
})
