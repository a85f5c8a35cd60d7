import { setMaxListeners } from 'node:events'

/** Tells when something closes, to any number of requests that wait: Node would warn of a leak from the eleventh on. */
export function closingController(): AbortController {
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)
  return closing
}
