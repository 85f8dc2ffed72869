/**
 * The lines of a segment, compared with their checksums.
 */
import { decodeText } from "@waymark/store-kit/Text"
import { isControl, parseControl } from "./format.ts"
import * as Sums from "./sums.ts"

export interface Line {
  readonly offset: number
  /** How many bytes it has, with its line end; 0 if they were counted with another one. */
  readonly length: number
  /** `undefined` if it is not what was written. */
  readonly text: string | undefined
  readonly control: boolean
  /** Its checksum and tag, as they were written; `undefined` if it has none. */
  readonly sum: string | undefined
  /** How it begins now, if it is not what was written. */
  readonly begins: string | undefined
}

export interface Lines {
  /**
   * Takes the next line, without its line end. What is known now, in order: nothing as long as it is not clear which of
   * the lines that are missing it is.
   */
  readonly next: (line: Buffer, offset: number) => ReadonlyArray<Line>
  /** What was expected and did not come before a byte, where no line follows. */
  readonly end: (offset: number) => ReadonlyArray<Line>
  /** Takes what did not come until now as known. */
  readonly forget: () => void
  /** How many checksums were passed, of those that it began with. */
  readonly passed: () => number
}

/** So much of a line says which run it was of. */
const beginning = 512

const none: ReadonlyArray<Line> = []
/** The sum of a damaged line without which nothing is missing. */
const nothingMissing = Sums.noTag + Sums.noTag

const wholeLine = (line: Buffer, offset: number, length: number, sum: string | undefined): Line => ({
  offset,
  length,
  text: decodeText(line, 0, line.length),
  control: isControl(line, 0),
  sum,
  begins: undefined
})

const entryStart = Buffer.from('{"run":')
const mayBeEntry = (line: Buffer): boolean => line.subarray(0, entryStart.length).equals(entryStart)

/** Whether lines with other checksums follow. */
const isBoundary = (line: Buffer): boolean => {
  if (!isControl(line, 0)) return false
  const control = parseControl(decodeText(line, 0, line.length))
  return control?.$ === "synced" || (control?.$ === "sums" && Sums.unpack(control.of) !== undefined)
}

/** Begins with the checksums of the first lines, if these do not stand between the lines. */
export const make = (sums = "", passed = 0): Lines => {
  let expected = Sums.expect(sums, passed)
  /** Whether lines come whose checksums cannot be read, or that never had any. */
  let unchecked = false
  /** Lines that are none of those that were expected. */
  let strange: Array<{ readonly offset: number; readonly length: number; readonly begins: string }> = []

  /** What did not come, where the lines stand that came instead. */
  const lost = (missing: ReadonlyArray<string>, offset: number): Array<Line> => {
    const count = Math.max(missing.length, strange.length)
    const lines = Array.from({ length: count }, (_, i): Line => {
      const at = strange[i] ?? strange[strange.length - 1]
      return {
        offset: at?.offset ?? offset,
        length: strange[i]?.length ?? 0,
        text: undefined,
        control: false,
        // One that was split in two has one checksum.
        sum: missing[i] ?? nothingMissing,
        begins: at?.begins
      }
    })
    strange = []
    return lines
  }

  const next: Lines["next"] = (line, offset) => {
    const length = line.length + 1
    const skipped = expected.find(line)
    if (skipped !== undefined) {
      const sum = expected.found()
      const whole = wholeLine(line, offset, length, sum)
      return skipped.length === 0 && strange.length === 0 ? [whole] : [...lost(skipped, offset), whole]
    }
    if (!expected.isEmpty() && !isBoundary(line)) {
      strange.push({ offset, length, begins: line.toString("utf8", 0, Math.min(line.length, beginning)) })
      return none
    }
    const before = expected.isEmpty() ? none : lost(expected.rest(), offset)
    const whole = wholeLine(line, offset, length, undefined)
    const control = whole.control ? parseControl(whole.text) : undefined
    const sums = control?.$ === "sums" ? Sums.unpack(control.of) : undefined
    const isFirst = !unchecked
    unchecked = sums === undefined && control?.$ !== "segment" && control?.$ !== "synced"
    if (sums !== undefined) expected = Sums.expect(sums)
    // Without the checksums nobody knows better of the lines that follow; that this one is damaged is known.
    else if (unchecked && isFirst && !mayBeEntry(line) && (control === undefined || control.$ === "sums"))
      return [...before, { ...whole, text: undefined, sum: nothingMissing }]
    return [...before, whole]
  }

  return {
    next,
    end: (offset) => (strange.length === 0 && expected.isEmpty() ? none : lost(expected.rest(), offset)),
    forget: () => {
      if (strange.length === 0) return
      strange = []
      expected.rest()
    },
    passed: () => expected.passed()
  }
}
