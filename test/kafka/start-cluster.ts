import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startNode } from './cluster.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where a cluster of one broker answers that all of these tests share. */
    kafka: string
  }
}

/** Soon, for those that wait until a killed member is missed; a process that works stands still for less. */
export const sessionMs = 5_000

/** A cluster of one broker, whose groups give up a member soon that is not heard of any more. */
export default async function startCluster(project: TestProject): Promise<() => Promise<void>> {
  // Processes that tests start are run by tsx, and are to stand on the same client.
  if (process.env['MILLRACE_KAFKA_CLIENT'] === '2')
    process.env['TSX_TSCONFIG_PATH'] = join(import.meta.dirname, 'tsconfig.client-2.json')
  const node = await startNode([`group.consumer.session.timeout.ms=${sessionMs}`])
  project.provide('kafka', node.address)
  return () => node.remove()
}
