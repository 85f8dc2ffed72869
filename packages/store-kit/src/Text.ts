/**
 * Bytes as text, if they are text: Node puts a replacement character for what is not UTF-8, and so would lose it silently.
 */
import { isUtf8 } from "node:buffer"

const replacement = "\ufffd"

/** What UTF-8 says, or `undefined` if it is not UTF-8. */
export const decodeText = (bytes: Buffer, start: number, end: number): string | undefined => {
  const text = bytes.toString("utf8", start, end)
  // It is looked at twice only where there is such a character, which may have been written.
  return !text.includes(replacement) || isUtf8(bytes.subarray(start, end)) ? text : undefined
}

/** Where bytes that are not UTF-8 cease to be. */
export const firstInvalid = (bytes: Buffer): number => {
  const said = Buffer.from(bytes.toString("utf8"))
  let at = 0
  while (at < bytes.length && bytes[at] === said[at]) at += 1
  return at
}
