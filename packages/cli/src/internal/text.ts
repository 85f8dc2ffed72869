/**
 * Text for people, in a terminal or in a pipe.
 */
import { styleText } from "node:util"
import * as CliOutput from "effect/cli/CliOutput"
import * as Duration from "effect/Duration"

type Format = Parameters<typeof styleText>[0]

/** Colours text, if there are colours. */
export type Paint = (format: Format, text: string) => string

export const painting = (canColor: boolean): Paint =>
  canColor ? (format, text) => styleText(format, text, { validateStream: false }) : (_, text) => text

/**
 * Text that came out of a run, fit to be shown: what could control a terminal is shown and not obeyed. With `lines` it may
 * have several.
 */
export const clean = (text: string, lines = false): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) =>
    lines && (c === "\n" || c === "\t") ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** A value on one line, cut to so many characters. */
export const inline = (value: unknown, most = 120): string => {
  const text = clean(typeof value === "string" ? value : (JSON.stringify(value) ?? "undefined"))
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

/** A value on as many lines as it takes. */
export const block = (value: unknown): string => clean(JSON.stringify(value, undefined, 2) ?? "null", true)

const pad = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - CliOutput.displayWidth(text)))

/** Rows with their columns under one another. */
export const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths: Array<number> = []
  for (const row of rows) {
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, CliOutput.displayWidth(cell))))
  }
  return rows.map((row) =>
    row
      .map((cell, i) => pad(cell, widths[i]!))
      .join("  ")
      .trimEnd()
  )
}

/** A time as people of any place read it. */
export const moment = (millis: number): string =>
  new Date(millis).toISOString().replace("T", " ").slice(0, 19)

/** How long something took, in its two largest units. */
export const span = (millis: number): string =>
  Duration.format(Duration.millis(Math.max(0, Math.round(millis))))
    .split(" ")
    .slice(0, 2)
    .join(" ")

/** How long ago something was. */
export const ago = (millis: number, now: number): string =>
  now - millis < 1000 ? "now" : `${span(Math.floor((now - millis) / 1000) * 1000)} ago`

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`
