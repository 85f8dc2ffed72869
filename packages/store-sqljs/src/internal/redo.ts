/**
 * The redo log: what was done to the database since it was last written as a whole.
 *
 * A log is frames, one for each write that was synced. A frame is a line of JSON that says where it stands, how many bytes
 * follow, what they are about, and what the SHA-256 of all that is; and those bytes: lines again, see `operation.ts`. Its first
 * line is that of a log:
 *
 * ```
 * {"$":"frame","at":0,"bytes":56,"about":["run order-1"],"sha256":"…"}
 * {"$":"log","format":1,"generation":1,"owner":"…"}
 * ```
 *
 * Frames are written one at a time and synced before the next. So a frame that cannot be read is what a crash left of the
 * last write, and is nothing, unless a whole frame follows: then it is damage. What a frame is about stands in it twice, so
 * that it is known then who has to be told.
 */
import * as Result from "effect/Result"
import type { Hasher } from "@waymark/core/Hasher"
import { subjectsOf } from "./doubts.ts"
import type { Step } from "./operation.ts"
import { linesOf, stepsOf } from "./operation.ts"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })
const marker = encoder.encode('{"$":"frame","at":')
const newline = 0x0a

/** What the checksum is over: the header without it, and the body. */
const summed = (header: string, body: Uint8Array): Uint8Array => {
  const first = encoder.encode(header)
  const bytes = new Uint8Array(first.length + body.length)
  bytes.set(first)
  bytes.set(body, first.length)
  return bytes
}

export const encodeFrame = (steps: ReadonlyArray<Step>, at: number, hasher: Hasher): Uint8Array => {
  const body = encoder.encode(`${steps.flatMap(linesOf).join("\n")}\n`)
  const header = JSON.stringify({ $: "frame", at, bytes: body.length, about: subjectsOf(steps) })
  const sum = hasher.hashBytes(summed(header, body))
  return summed(`${header.slice(0, -1)},"sha256":"${sum}"}\n`, body)
}

export interface Frame {
  /** The bytes at which it begins and ends, counted from where the log begins. */
  readonly start: number
  readonly end: number
  readonly lines: ReadonlyArray<string>
}

/** A part of a log that is damaged. Without subjects it may have been about anything. */
export interface Hole {
  readonly start: number
  readonly end: number
  readonly subjects: ReadonlyArray<string> | undefined
}

interface Header {
  readonly at: number
  readonly bytes: number
  readonly about: ReadonlyArray<string>
  /** Where the body begins. */
  readonly body: number
  readonly text: string
  readonly sum: string
}

const sumAtEnd = /,"sha256":"([0-9a-f]{64})"\}$/

/** The header at an index, whether it is what was written or not. */
const headerAt = (bytes: Uint8Array, index: number): Header | undefined => {
  for (let i = 0; i < marker.length; i++) if (bytes[index + i] !== marker[i]) return undefined
  const end = bytes.indexOf(newline, index)
  if (end < 0) return undefined
  try {
    const line = decoder.decode(bytes.subarray(index, end))
    const found = sumAtEnd.exec(line)
    if (found === null) return undefined
    const text = `${line.slice(0, found.index)}}`
    const { about, at, bytes: length } = JSON.parse(text) as Partial<Header>
    if (typeof at !== "number" || typeof length !== "number" || !(length > 0) || !Array.isArray(about))
      return undefined
    return { at, bytes: length, about, body: end + 1, text, sum: found[1]! }
  } catch {
    return undefined
  }
}

/** Reads the frame at an index of `bytes`, which begin at byte `base` of the log. `undefined` if there is no whole frame. */
const frameAt = (bytes: Uint8Array, index: number, base: number, hasher: Hasher): Frame | undefined => {
  const header = headerAt(bytes, index)
  if (header === undefined || header.at !== base + index) return undefined
  const end = header.body + header.bytes
  if (end > bytes.length) return undefined
  const body = bytes.subarray(header.body, end)
  if (hasher.hashBytes(summed(header.text, body)) !== header.sum) return undefined
  return {
    start: base + index,
    end: base + end,
    lines: decoder.decode(body.subarray(0, -1)).split("\n")
  }
}

const indexOfMarker = (bytes: Uint8Array, from: number): number => {
  for (let at = bytes.indexOf(marker[0]!, from); at >= 0; at = bytes.indexOf(marker[0]!, at + 1)) {
    let i = 1
    while (i < marker.length && bytes[at + i] === marker[i]) i++
    if (i === marker.length) return at
  }
  return -1
}

/** What a body is about, if all of it is what a body can be. */
const subjectsIn = (body: Uint8Array): ReadonlyArray<string> | undefined => {
  try {
    const steps = stepsOf(decoder.decode(body.subarray(0, -1)).split("\n"))
    return Result.isSuccess(steps) ? subjectsOf(steps.success) : undefined
  } catch {
    return undefined
  }
}

/**
 * What the frames in a part of a log were about. One damaged byte is in a header or in a body, and what the other says holds; so
 * both are asked. `undefined` if neither tells.
 */
const subjectsOfHole = (bytes: Uint8Array, from: number, to: number): ReadonlyArray<string> | undefined => {
  const subjects = new Set<string>()
  for (let index = from; index < to;) {
    const header = headerAt(bytes, index)
    const fits = header !== undefined && header.body + header.bytes <= to
    const lineEnd = bytes.indexOf(newline, index)
    const end = fits ? header.body + header.bytes : to
    const body = fits ? header.body : lineEnd + 1
    const said = lineEnd < 0 || body >= end ? undefined : subjectsIn(bytes.subarray(body, end))
    if (!fits && said === undefined) return undefined
    for (const subject of fits ? header.about : []) subjects.add(subject)
    for (const subject of said ?? []) subjects.add(subject)
    index = end
  }
  return [...subjects]
}

export interface Scanned {
  /** In the order in which they stand in the log. */
  readonly parts: ReadonlyArray<Frame | Hole>
  /** Where the last whole frame ends. */
  readonly end: number
}

/** Goes through what a log holds from byte `base` on. */
export const scan = (bytes: Uint8Array, base: number, hasher: Hasher): Scanned => {
  const parts: Array<Frame | Hole> = []
  let index = 0
  while (index < bytes.length) {
    let frame = frameAt(bytes, index, base, hasher)
    if (frame === undefined) {
      let at = index
      while (frame === undefined) {
        at = indexOfMarker(bytes, at + 1)
        if (at < 0) return { parts, end: base + index }
        frame = frameAt(bytes, at, base, hasher)
      }
      parts.push({ start: base + index, end: base + at, subjects: subjectsOfHole(bytes, index, at) })
    }
    parts.push(frame)
    index = frame.end - base
  }
  return { parts, end: base + index }
}
