/**
 * Checksums of lines: by them a line is known to be damaged that still is a line. The chain of hashes says so of all entries
 * but the last of a run, and only to who reads the one that follows.
 */
import { crc32 } from "node:zlib"

/** How many characters the checksum of a line has. */
const width = 8

/** The checksum of a line, without its line end. */
export const sumOf = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(width, "0")

/** Whether a line is the one that a checksum is of; of one that has none, nobody knows better. */
export const isIntact = (sum: string | undefined, bytes: Uint8Array): boolean =>
  sum === undefined || sum === sumOf(bytes)

/** The checksums of so many lines as they are written: one of their own comes first. */
export const lengthOf = (lines: number): number => (lines + 1) * width
export const pack = (sums: string, besides = ""): string =>
  sumOf(Buffer.from(besides + sums, "latin1")) + sums
/** What was packed, together with what else it vouches for; `undefined` if it is not what was written. */
export const unpack = (packed: string, besides = ""): string | undefined => {
  const sums = packed.slice(width)
  return pack(sums, besides) === packed ? sums : undefined
}

/** Gives the checksums of lines that follow one another, and nothing for those beyond. */
export const reader = (sums: string): (() => string | undefined) => {
  let at = 0
  return () => {
    if (at + width > sums.length) return undefined
    at += width
    return sums.slice(at - width, at)
  }
}
