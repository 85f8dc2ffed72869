/**
 * Times and sizes as text, and text that comes from runs made fit to be shown.
 */

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000]
] as const

/** A duration in milliseconds, with the unit that says most. */
export const duration = (millis: number): string => {
  const abs = Math.max(0, millis)
  if (abs < 1000) return `${Math.round(abs)} ms`
  for (const [unit, size] of units) {
    if (abs >= size) {
      const value = abs / size
      return `${value < 10 && value % 1 >= 0.05 ? value.toFixed(1) : Math.round(value)} ${unit}`
    }
  }
  return `${Math.round(abs)} ms`
}

/** How long ago, in words. */
export const ago = (time: number, now: number): string => {
  const past = now - time
  return past < 2000 ? "just now" : `${duration(past)} ago`
}

const two = (value: number): string => String(value).padStart(2, "0")

/** A time of day, to the millisecond, in the time zone of this machine. */
export const clock = (time: number): string => {
  const date = new Date(time)
  const millis = String(date.getMilliseconds()).padStart(3, "0")
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`
}

/** A date and time in the time zone of this machine. */
export const moment = (time: number): string => {
  const date = new Date(time)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(time)}`
}

/** How many of something there are. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? "" : "s"}`

/** The beginning of a text, of at most so many code units; no character is cut in two. */
export const beginning = (text: string, most: number): string => {
  const code = text.charCodeAt(most - 1)
  const cutsPair = text.length > most && code >= 0xd800 && code <= 0xdbff
  return text.slice(0, cutsPair ? most - 1 : most)
}

/** A run's name in the name of a file, or what is left of it there. */
export const fileName = (run: string): string => beginning(run.replace(/[^\p{L}\p{N}._-]+/gu, "_"), 60)

/** One line of a text of a run: no control characters or line breaks, and not too long. */
export const line = (text: string, most = 200): string => {
  // Direction overrides could make one name look like another.
  const plain = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, " ").trim()
  return plain.length <= most ? plain : `${beginning(plain, most - 1)}…`
}

/** Compares by code units, as stores do. */
export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
