declare module 'murmurhash-js' {
  /** Reads one byte of each character; unsigned. */
  const murmurhash: { murmur2(text: string, seed: number): number }
  export default murmurhash
}
