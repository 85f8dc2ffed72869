/**
 * What a case reports: figures, each beside what it is to be compared with, and the goal for it.
 */

/** Samples of one thing; the sample `i` of all series of a measurement was taken in the same round. */
export interface Series {
  readonly name: string
  readonly samples: ReadonlyArray<number>
}

/**
 * What a figure is held to.
 *
 * - `ratio`: the median, over the rounds, of the figure divided by the sum of its baselines
 * - `value`: the median of the figure itself, in its own unit
 */
export type Goal =
  | { readonly kind: "ratio"; readonly atMost: number }
  | { readonly kind: "value"; readonly atMost: number }
  | { readonly kind: "value"; readonly atLeast: number }

/** One line of the table. */
export interface Measurement {
  readonly title: string
  readonly unit: string
  readonly samples: ReadonlyArray<number>
  /** In the same unit. The ratio is to their sum. */
  readonly baselines: ReadonlyArray<Series>
  readonly goal?: Goal
  readonly note?: string
}

export type Verdict = "met" | "missed" | "missed by more than 1.5x" | "no goal"

/** A goal that is missed by more than this factor is a defect. */
const tolerance = 1.5

export const median = (samples: ReadonlyArray<number>): number => {
  if (samples.length === 0) return Number.NaN
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** What so large a share of the samples does not exceed. */
export const percentile = (samples: ReadonlyArray<number>, share: number): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** The figure of each round divided by the baselines of the same round. */
export const ratiosOf = ({ baselines, samples }: Measurement): ReadonlyArray<number> =>
  baselines.length === 0
    ? []
    : samples.map(
        (sample, round) => sample / baselines.reduce((sum, series) => sum + series.samples[round]!, 0)
      )

/** How far the goal is exceeded: 1 is just met, more is missed. */
const excessOf = (measurement: Measurement): number | undefined => {
  const { goal, samples } = measurement
  if (goal === undefined) return undefined
  if (goal.kind === "ratio") return median(ratiosOf(measurement)) / goal.atMost
  return "atMost" in goal ? median(samples) / goal.atMost : goal.atLeast / median(samples)
}

export const verdictOf = (measurement: Measurement): Verdict => {
  const excess = excessOf(measurement)
  if (excess === undefined) return "no goal"
  // What was not measured is not met.
  if (excess <= 1) return "met"
  return excess <= tolerance ? "missed" : "missed by more than 1.5x"
}
