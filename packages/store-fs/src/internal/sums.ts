/**
 * Checksums of lines: by them a line is known to be damaged that still is a line. The chain of hashes says so of all entries
 * but the last of a run, and only to who reads the one that follows.
 *
 * With the checksum of a line stands what the line is about, its *tag*: when the line cannot be read any more, that says who
 * has to be told.
 */
import { crc32 } from "node:zlib"

const digits = 8
/** How many characters there are for a line: its checksum and its tag. */
const width = 2 * digits

const crcOf = (data: Uint8Array | string): string => crc32(data).toString(16).padStart(digits, "0")

/** The checksum of a line, without its line end. */
export const sumOf = (line: Uint8Array | string): string => crcOf(line)

/** What a line can be about so that somebody would miss it. */
export type Kind = "entry" | "command" | "deleted"

/** The tag of lines of a kind that are about a run. */
export const tagOf = (kind: Kind, run: string, incarnation: number): string =>
  crcOf(`${kind} ${incarnation} ${run}`)

/** The tag of lines that nobody would miss. */
export const noTag = "0".repeat(digits)

/** The checksums and tags of so many lines as they are written: a checksum of their own comes first. */
export const lengthOf = (lines: number): number => lines * width + digits
export const pack = (sums: string, besides = ""): string => crcOf(besides + sums) + sums
/** What was packed, together with what else it vouches for; `undefined` if it is not what was written. */
export const unpack = (packed: string, besides = ""): string | undefined => {
  const sums = packed.slice(digits)
  return pack(sums, besides) === packed ? sums : undefined
}

/** Lines that are expected, one after the other. */
export interface Expected {
  /**
   * Looks for a line among those that are expected next. What was expected before it, and did not come, as checksums and tags;
   * `undefined` if it is none of them. If it is one, those after it are expected next.
   */
  readonly find: (line: Uint8Array) => ReadonlyArray<string> | undefined
  /** The checksum and tag of the line that was found last. */
  readonly found: () => string
  /** Everything that did not come. Nothing is expected afterwards. */
  readonly rest: () => ReadonlyArray<string>
  readonly isEmpty: () => boolean
  /** How many lines came, or will not come. */
  readonly passed: () => number
}

/** The checksum and the tag that stand together. */
export const partsOf = (sum: string): { readonly sum: string; readonly tag: string } => ({
  sum: sum.slice(0, digits),
  tag: sum.slice(digits)
})

/** A line that has lost its end, or has got one inside, moves those that follow it by a few places only. */
const ahead = 64
const nothing: ReadonlyArray<string> = []

export const expect = (sums: string, passed = 0): Expected => {
  let at = passed * width
  const take = (count: number): ReadonlyArray<string> => {
    if (count === 0) return nothing
    const taken = Array.from({ length: count }, (_, i) => sums.slice(at + i * width, at + (i + 1) * width))
    at += count * width
    return taken
  }
  return {
    find: (line) => {
      const left = (sums.length - at) / width
      if (left < 1) return undefined
      const sum = sumOf(line)
      for (let i = 0; i < left && i < ahead; i++) {
        if (!sums.startsWith(sum, at + i * width)) continue
        const skipped = take(i)
        at += width
        return skipped
      }
      return undefined
    },
    found: () => sums.slice(at - width, at),
    rest: () => take((sums.length - at) / width),
    isEmpty: () => at >= sums.length,
    passed: () => at / width
  }
}
