import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { describeDocument, root } from './markdown-programs.js'
import { forbidHostTimers } from './testing/support-host-timers.js'

describe.each(readdirSync(join(root, 'docs')))('docs/%s', name => {
  // All of it is about virtual time.
  if (name === 'testing.md') forbidHostTimers()
  describeDocument(`docs/${name}`)
})
