import { expect, test, vi } from 'vitest'

test('the word count that users write counts over two instances, which share its six tasks', async () => {
  const lines: unknown[][] = []
  const log = vi.spyOn(console, 'log').mockImplementation((...args) => void lines.push(args))
  try {
    await import('../../programs/20-word-count.js')
  } finally {
    log.mockRestore()
  }
  const [description, found, ...others] = lines
  expect(String(description![0])).toContain('Sub-topology: 1\n    Source: counts-by-word-repartition-source')
  expect([found, others]).toEqual([[true, 6], []])
})
