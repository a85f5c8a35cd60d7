import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { describeDocument, root } from './markdown-programs.js'

describe.each(readdirSync(join(root, 'docs')))('docs/%s', name => {
  describeDocument(`docs/${name}`)
})
