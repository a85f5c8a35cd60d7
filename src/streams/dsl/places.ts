import { TableSupplier } from '../operators/table-supplier.js'
import { Program, type StreamPlace, type TablePlace } from './program.js'

/** What a user was given as a stream or a table, told without importing their classes. */
export function placeOf(given: unknown): ((StreamPlace | TablePlace) & { readonly program: Program }) | undefined {
  return (given as { program?: unknown } | null | undefined)?.program instanceof Program
    ? (given as (StreamPlace | TablePlace) & { readonly program: Program })
    : undefined
}
export const isTablePlace = <P extends { readonly program: Program }>(
  place: (StreamPlace | TablePlace) & P,
): place is TablePlace & P => (place as { supplier?: unknown }).supplier instanceof TableSupplier
