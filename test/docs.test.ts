import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { describeDocument, describeDocumentText, root } from './markdown-programs.js'
import { forbidHostTimers } from './testing/support-host-timers.js'

/** Run where there is one: test/kafka/docs.test.ts. */
const onCluster = ['kafka.md']

describe.each(readdirSync(join(root, 'docs')))('docs/%s', name => {
  // All of it is about virtual time.
  if (name === 'testing.md') forbidHostTimers()
  if (onCluster.includes(name)) describeDocumentText(`docs/${name}`)
  else describeDocument(`docs/${name}`)
})
