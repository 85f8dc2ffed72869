/**
 * The redo log: what was done to the database since it was last written as a whole.
 *
 * A log is frames, one for each write that was synced. A frame is a line of JSON that says where it stands, how many bytes
 * follow and what their SHA-256 is, and those bytes: lines again, see `operation.ts`. Its first line is that of a log:
 *
 * ```
 * {"$":"frame","at":0,"bytes":56,"sha256":"…"}
 * {"$":"log","format":1,"generation":1,"owner":"…"}
 * ```
 *
 * Frames are written one at a time and synced before the next. So a frame that cannot be read is what a crash left of the
 * last write, and is nothing, unless a whole frame follows: then it is damage.
 */
import type { Hasher } from "@waymark/core/Hasher"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })
const marker = encoder.encode('{"$":"frame","at":')
const newline = 0x0a

export const encodeFrame = (lines: ReadonlyArray<string>, at: number, hasher: Hasher): Uint8Array => {
  const body = encoder.encode(`${lines.join("\n")}\n`)
  const header = encoder.encode(
    `${JSON.stringify({ $: "frame", at, bytes: body.length, sha256: hasher.hashBytes(body) })}\n`
  )
  const frame = new Uint8Array(header.length + body.length)
  frame.set(header)
  frame.set(body, header.length)
  return frame
}

export interface Frame {
  /** The byte after it, counted from where the log begins. */
  readonly end: number
  readonly lines: ReadonlyArray<string>
}

/**
 * Reads the frame at an index of `bytes`, which begin at byte `base` of the log. `undefined` if there is no whole frame.
 */
const frameAt = (bytes: Uint8Array, index: number, base: number, hasher: Hasher): Frame | undefined => {
  for (let i = 0; i < marker.length; i++) if (bytes[index + i] !== marker[i]) return undefined
  const headerEnd = bytes.indexOf(newline, index)
  if (headerEnd < 0) return undefined
  let header: { readonly at?: unknown; readonly bytes?: unknown; readonly sha256?: unknown }
  try {
    header = JSON.parse(decoder.decode(bytes.subarray(index, headerEnd)))
  } catch {
    return undefined
  }
  if (header.at !== base + index || typeof header.bytes !== "number" || !(header.bytes > 0)) return undefined
  const end = headerEnd + 1 + header.bytes
  if (end > bytes.length) return undefined
  const body = bytes.subarray(headerEnd + 1, end)
  if (hasher.hashBytes(body) !== header.sha256) return undefined
  return { end: base + end, lines: decoder.decode(body.subarray(0, -1)).split("\n") }
}

const indexOfMarker = (bytes: Uint8Array, from: number): number => {
  for (let at = bytes.indexOf(marker[0]!, from); at >= 0; at = bytes.indexOf(marker[0]!, at + 1)) {
    let i = 1
    while (i < marker.length && bytes[at + i] === marker[i]) i++
    if (i === marker.length) return at
  }
  return -1
}

export interface Scanned {
  readonly frames: ReadonlyArray<Frame>
  /** Where the last whole frame ends. */
  readonly end: number
  /** Where a frame is damaged that others follow. */
  readonly damage: number | undefined
}

/** Goes through what a log holds from byte `base` on. */
export const scan = (bytes: Uint8Array, base: number, hasher: Hasher): Scanned => {
  const frames: Array<Frame> = []
  let end = base
  while (end - base < bytes.length) {
    const frame = frameAt(bytes, end - base, base, hasher)
    if (frame !== undefined) {
      frames.push(frame)
      end = frame.end
      continue
    }
    for (let at = indexOfMarker(bytes, end - base + 1); at >= 0; at = indexOfMarker(bytes, at + 1)) {
      if (frameAt(bytes, at, base, hasher) !== undefined) return { frames, end, damage: end }
    }
    break
  }
  return { frames, end, damage: undefined }
}
