import type { Key } from './record.js'
export type Partitioner = (record: { key: Key | null }, partitionCount: number) => number
