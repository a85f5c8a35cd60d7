import type { TestProject } from 'vitest/node'
import { startNode } from './cluster.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where a cluster of one broker answers that all of these tests share. */
    kafka: string
  }
}

/** A cluster of one broker, whose groups give up a member soon that is not heard of any more. */
export default async function startCluster(project: TestProject): Promise<() => Promise<void>> {
  const node = await startNode(['group.consumer.session.timeout.ms=3000'])
  project.provide('kafka', node.address)
  return () => node.remove()
}
