import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { describeDocument, describeDocumentText, root } from './markdown-programs.js'

/** Run where there is one: test/kafka/docs.test.ts. */
const onCluster = ['kafka.md']

describe.each(readdirSync(join(root, 'docs')))('docs/%s', name => {
  if (onCluster.includes(name)) describeDocumentText(`docs/${name}`)
  else describeDocument(`docs/${name}`)
})
