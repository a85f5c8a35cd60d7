import type { JoinKind } from './case.js'

// The names of callbacks that random steps draw from, the likelier the more often they are there.

export const KEYS = ['text', 'ofValue', 'textOfValue', 'modulo', 'constant', 'nothingIfOdd'] as const
export const PREDICATES = ['isEven', 'isThird', 'isShort', 'isThere', 'isLowKey', 'all', 'none'] as const
export const MAPPERS = ['same', 'upper', 'length', 'increment', 'half', 'text', 'withKey', 'nothingIfOdd'] as const
export const REDUCERS = ['sum', 'sum', 'concat', 'concat', 'max', 'last', 'first', 'nothingIfThird'] as const
export const INITIALS = ['zero', 'empty', 'zero', 'empty', 'nothing'] as const
export const JOINERS = ['pair', 'pair', 'pair', 'sum', 'concat', 'nothingIfThird'] as const
export const KINDS: readonly JoinKind[] = ['inner', 'left', 'outer']
