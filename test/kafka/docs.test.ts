// What the guide to clusters shows is run on one.
import { describe, inject } from 'vitest'
import { describeDocumentRuns } from '../markdown-programs.js'

describe('docs/kafka.md', () => {
  describeDocumentRuns('docs/kafka.md', markdown => markdown.replaceAll('localhost:9092', inject('kafka')))
})
