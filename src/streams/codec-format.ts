import type { Codec } from '../index.js'
import { fromBase64, toBase64 } from './base64.js'
import type { ValueFormat } from './stores/store.js'

/** How internal topics hold values of a codec: its bytes as base64 text. A null stays one. */
function codecFormat(codec: Codec<any>): ValueFormat {
  return {
    toLog: value => (value === null ? null : toBase64(codec.encode(value))),
    fromLog: logged => (logged === null ? null : codec.decode(fromBase64(logged as string))),
  }
}

/** Undefined where values are held as they are. */
export function formatOf(codec: Codec<any> | undefined): ValueFormat | undefined {
  return codec === undefined ? undefined : codecFormat(codec)
}
