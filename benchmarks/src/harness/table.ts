import { median, ratiosOf, verdictOf } from "./measurement.ts"
import type { Goal, Measurement } from "./measurement.ts"

/** Three significant digits, and thousands set apart. */
export const formatNumber = (value: number): string => {
  if (!Number.isFinite(value)) return "?"
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  const [whole, fraction] = value.toFixed(Math.min(digits, 3)).split(".")
  const grouped = whole!.replaceAll(/\B(?=(\d{3})+$)/g, ",")
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

const formatGoal = (goal: Goal | undefined, unit: string): string => {
  if (goal === undefined) return ""
  if (goal.kind === "ratio") return `≤ ${goal.atMost} x`
  return "atMost" in goal
    ? `≤ ${formatNumber(goal.atMost)} ${unit}`
    : `≥ ${formatNumber(goal.atLeast)} ${unit}`
}

const columns = ["case", "figure", "beside", "ratio", "goal", ""] as const

const cellsOf = (measurement: Measurement): ReadonlyArray<string> => {
  const { baselines, goal, samples, title, unit } = measurement
  const verdict = verdictOf(measurement)
  return [
    title,
    `${formatNumber(median(samples))} ${unit}`,
    baselines.map((series) => `${series.name} ${formatNumber(median(series.samples))}`).join(" + "),
    baselines.length === 0 ? "" : `${median(ratiosOf(measurement)).toFixed(2)} x`,
    formatGoal(goal, unit),
    verdict === "no goal" ? "" : verdict
  ]
}

/** The table as Markdown, its columns aligned for a terminal. */
export const formatTable = (measurements: ReadonlyArray<Measurement>): string => {
  const rows = [columns, ...measurements.map(cellsOf)]
  const widths = columns.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>): string =>
    `| ${row.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  const notes = measurements.flatMap(({ note, title }) => (note === undefined ? [] : [`- ${title}: ${note}`]))
  return [
    line(columns),
    rule,
    ...rows.slice(1).map(line),
    ...(notes.length === 0 ? [] : ["", ...notes])
  ].join("\n")
}
