const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Map(Array.from(digits, (digit, value) => [digit, value]))

/** Bytes as text, for topics whose values are text or JSON (RFC 4648; not every host has btoa for bytes). */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const three = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    text += digits[three >>> 18]! + digits[(three >>> 12) & 63]!
    text += (left > 1 ? digits[(three >>> 6) & 63]! : '=') + (left > 2 ? digits[three & 63]! : '=')
  }
  return text
}

export function fromBase64(text: string): Uint8Array {
  const length = (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0)
  const bytes = new Uint8Array(length)
  for (let i = 0, at = 0; i < text.length; i += 4) {
    let four = 0
    for (let j = 0; j < 4; j++) four = (four << 6) | (values.get(text[i + j]!) ?? 0)
    for (let shift = 16; shift >= 0 && at < length; shift -= 8) bytes[at++] = (four >>> shift) & 255
  }
  return bytes
}
