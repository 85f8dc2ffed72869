/**
 * The file that SQLite works on, with a checksum at the end of each page.
 *
 * SQLite leaves as many bytes at the end of each page alone as its header says; those of our databases hold a checksum. It is put
 * there when a page is folded, and looked at when SQLite reads the page for the first time. A page that is not what was
 * written cannot be read then: whoever needs it is told so, and nobody else. Other programs pass over these bytes.
 */
import * as PageFile from "./pageFile.ts"
import { blockSize } from "./pageFile.ts"

/** How many bytes at the end of each page are not SQLite's. */
const reserved = 8
const words = (blockSize - reserved) / 4

/** The page number is in the checksum: a page that was written to the place of another one, or to none, is damaged. */
const seed = 0x57415900

/** Writes the checksum of a page to its end; whether it was there. `page` begins at a multiple of 4 bytes. */
const stamp = (page: Uint8Array, block: number): boolean => {
  const all = new Uint32Array(page.buffer, page.byteOffset, blockSize / 4)
  let first = (seed + block) | 0
  let second = ~first
  for (let i = 0; i < words; i += 2) {
    first = (first + all[i]! + second) | 0
    second = (second + all[i + 1]! + first) | 0
  }
  const same = all[words] === first >>> 0 && all[words + 1] === second >>> 0
  all[words] = first
  all[words + 1] = second
  return same
}

/** A database that holds nothing, and leaves room for checksums. */
export const emptyDatabase = (): Uint8Array => {
  const page = new Uint8Array(blockSize)
  const view = new DataView(page.buffer)
  page.set(new TextEncoder().encode("SQLite format 3\0"))
  view.setUint16(16, blockSize)
  // Written and read in the way that needs no other files.
  page.set([1, 1, reserved, 64, 32, 32], 18)
  // How often it was changed, and how many pages there are; the same count says that this number is right.
  view.setUint32(24, 1)
  view.setUint32(28, 1)
  view.setUint32(92, 1)
  // UTF-8, and the newest sort of schema.
  view.setUint32(44, 4)
  view.setUint32(56, 1)
  // The page is also the first one of the table of tables: a leaf without cells, filled from its end.
  page[100] = 13
  view.setUint16(105, blockSize - reserved)
  return page
}

const unknown = 0
const intact = 1
const written = 2
const damaged = 3

export interface CheckedFile extends PageFile.PageFile {
  /** Where a page begins that was to be read and is not what was written, since this was asked last. */
  readonly damage: () => number | undefined
}

/** The pages that a database should have; those that were cut off are zeros, which no page is. */
const completed = (bytes: Uint8Array): Uint8Array => {
  const first = bytes.slice(0, blockSize)
  if (first.length < blockSize || !stamp(first, 0)) return bytes
  const size = new DataView(first.buffer).getUint32(28) * blockSize
  if (size <= bytes.length) return bytes
  const whole = new Uint8Array(size)
  whole.set(bytes)
  return whole
}

/** A file that holds these bytes, or an empty database. `trusting` one reads damaged pages as they are. */
export const make = (bytes: Uint8Array | undefined, trusting = false): CheckedFile => {
  const file = PageFile.make(bytes === undefined ? emptyDatabase() : completed(bytes))
  /** Of the pages that the file began with: those behind them are written here. */
  const known = new Uint8Array(bytes === undefined ? 0 : Math.ceil(file.size() / blockSize))
  const page = new Uint8Array(blockSize)
  let damage: number | undefined

  const isReadable = (block: number): boolean => {
    if (block >= known.length) return true
    if (known[block] === unknown) {
      const whole = file.read(block * blockSize, page) === blockSize
      known[block] = whole && stamp(page, block) ? intact : damaged
    }
    if (known[block] !== damaged || trusting) return true
    damage = block * blockSize
    return false
  }

  return {
    size: file.size,
    damage: () => {
      const found = damage
      damage = undefined
      return found
    },

    read: (at, into) => {
      const end = Math.min(at + into.length, file.size())
      for (let block = Math.floor(at / blockSize); block * blockSize < end; block++) {
        if (!isReadable(block)) return -1
      }
      return file.read(at, into)
    },

    write: (at, data) => {
      file.write(at, data)
      const end = at + data.length
      for (let block = Math.ceil(at / blockSize); (block + 1) * blockSize <= end; block++) {
        if (block < known.length) known[block] = written
      }
    },

    truncate: (size) => {
      known.fill(written, Math.ceil(size / blockSize))
      file.truncate(size)
    },

    capture: () => {
      const capture = file.capture()
      // A page that was not written here has its checksum, or must not get another one.
      const then = known.slice()
      return {
        ...capture,
        read: (block, count) => {
          const result = capture.read(block, count)
          for (let at = 0; at + blockSize <= result.length; at += blockSize) {
            const number = block + at / blockSize
            if (number >= then.length || then[number] === written)
              stamp(result.subarray(at, at + blockSize), number)
          }
          return result
        }
      }
    }
  }
}

/** The same for a database that lies elsewhere, as a whole: with its checksums. */
export const stamped = (bytes: Uint8Array): Uint8Array => {
  const result = bytes.slice()
  for (let at = 0; at + blockSize <= result.length; at += blockSize)
    stamp(result.subarray(at, at + blockSize), at / blockSize)
  return result
}

/** Where pages of a database begin that are not what was written. */
export const damagesIn = (bytes: Uint8Array): ReadonlyArray<number> => {
  const page = new Uint8Array(blockSize)
  const found: Array<number> = []
  for (let at = 0; at < bytes.length; at += blockSize) {
    const part = bytes.subarray(at, at + blockSize)
    page.set(part)
    if (part.length < blockSize || !stamp(page, at / blockSize)) found.push(at)
  }
  return found
}
