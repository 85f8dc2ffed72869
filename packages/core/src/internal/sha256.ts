/**
 * SHA-256 (FIPS 180-4) over the UTF-8 bytes of a string.
 */

/** The integer part of the cube root, by Newton's method from above. */
const cubeRoot = (value: bigint): bigint => {
  let root = 1n << 40n
  while (root ** 3n > value) root = (2n * root + value / root ** 2n) / 3n
  return root
}

// The fractional parts of the cube roots of the first 64 primes.
const roundConstants = /* @__PURE__ */ (() => {
  const constants: Array<number> = []
  for (let n = 2n; constants.length < 64; n++) {
    let divisor = 2n
    while (n % divisor !== 0n) divisor++
    if (divisor === n) constants.push(Number(BigInt.asIntN(32, cubeRoot(n << 96n))))
  }
  return Int32Array.from(constants)
})()

const schedule = /* @__PURE__ */ new Int32Array(64)
const state = /* @__PURE__ */ new Int32Array(8)
const encoder = /* @__PURE__ */ new TextEncoder()
let scratch = /* @__PURE__ */ new Uint8Array(4096)

const compress = (bytes: Uint8Array, offset: number): void => {
  const w = schedule
  for (let i = 0; i < 16; i++) {
    const at = offset + i * 4
    w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!
    const y = w[i - 2]!
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0
  }
  let a = state[0]!
  let b = state[1]!
  let c = state[2]!
  let d = state[3]!
  let e = state[4]!
  let f = state[5]!
  let g = state[6]!
  let h = state[7]!
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + roundConstants[i]! + w[i]!) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  state[0] = (state[0]! + a) | 0
  state[1] = (state[1]! + b) | 0
  state[2] = (state[2]! + c) | 0
  state[3] = (state[3]! + d) | 0
  state[4] = (state[4]! + e) | 0
  state[5] = (state[5]! + f) | 0
  state[6] = (state[6]! + g) | 0
  state[7] = (state[7]! + h) | 0
}

const hexOfByte = /* @__PURE__ */ Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

const hexWord = (word: number): string =>
  hexOfByte[word >>> 24]! +
  hexOfByte[(word >>> 16) & 255]! +
  hexOfByte[(word >>> 8) & 255]! +
  hexOfByte[word & 255]!

/** Makes room for `length` bytes and their padding. */
const reserve = (length: number): Uint8Array => {
  const capacity = length + 72
  if (scratch.length < capacity) scratch = new Uint8Array(capacity)
  return scratch
}

/** The digest of the first `length` bytes of the scratch space. */
const digest = (length: number): string => {
  const bytes = scratch
  const total = ((length + 8) >>> 6) * 64 + 64
  bytes.fill(0, length, total)
  bytes[length] = 0x80
  const bits = length * 8
  const view = new DataView(bytes.buffer)
  view.setUint32(total - 8, Math.floor(bits / 0x100000000))
  view.setUint32(total - 4, bits >>> 0)
  state[0] = 0x6a09e667
  state[1] = 0xbb67ae85
  state[2] = 0x3c6ef372
  state[3] = 0xa54ff53a
  state[4] = 0x510e527f
  state[5] = 0x9b05688c
  state[6] = 0x1f83d9ab
  state[7] = 0x5be0cd19
  for (let offset = 0; offset < total; offset += 64) compress(bytes, offset)
  let out = ""
  for (let i = 0; i < 8; i++) out += hexWord(state[i]!)
  // One 10 MB value must not pin 30 MB for the life of the process.
  if (scratch.length > 1 << 20) scratch = new Uint8Array(4096)
  return out
}

/** The SHA-256 of the UTF-8 bytes of `text` as 64 lower-case hexadecimal digits. */
export const sha256Hex = (text: string): string =>
  // A UTF-16 unit takes at most three UTF-8 bytes.
  digest(encoder.encodeInto(text, reserve(text.length * 3)).written)

/** The SHA-256 of `bytes` as 64 lower-case hexadecimal digits. */
export const sha256HexOfBytes = (bytes: Uint8Array): string => {
  reserve(bytes.length).set(bytes)
  return digest(bytes.length)
}
