/**
 * Crash points by name, and the error that names the one after which something is wrong.
 */
import * as Schema from "effect/Schema"
import type { Cut } from "../../CrashStore.ts"

/** The seed of Random unless somebody gives another. */
export const defaultSeed = "waymark"

/**
 * A scenario does not survive a power cut, or does not do without one what it should.
 *
 * @category errors
 * @since 0.1.0
 */
export class CrashPointFailed extends Schema.TaggedError<CrashPointFailed>()("CrashPointFailed", {
  /** The crash point, for `only`; `"none"` if it happens without a cut. */
  at: Schema.String,
  /** The seed of Random. */
  seed: Schema.String,
  problems: Schema.Array(Schema.String),
  /** The journals of the runs with the cuts among their entries, and the calls that were carried out. */
  timeline: Schema.String
}) {
  override get message(): string {
    const where =
      this.at === "none"
        ? "without any power cut, the scenario does not do what it should"
        : `after a power cut at ${this.at} the scenario does not come to the same`
    const lines = [where, ...this.problems.map((problem) => `- ${problem}`), "", this.timeline]
    const seed = this.seed === defaultSeed ? "" : `, seed: ${JSON.stringify(this.seed)}`
    if (this.at !== "none") {
      lines.push(
        "",
        `to repeat it: CrashExplorer.explore(flow, { …, only: ${JSON.stringify(this.at)}${seed} })`
      )
    }
    return lines.join("\n")
  }
}

/** Such as `"17-after/3-before"`. */
export const nameOf = (cuts: ReadonlyArray<Cut>): string =>
  cuts.length === 0 ? "none" : cuts.map(({ point, when }) => `${point}-${when}`).join("/")

export const parseCuts = (name: string): ReadonlyArray<Cut> =>
  name === "none"
    ? []
    : name.split("/").map((part) => {
        const match = /^([1-9]\d*)-(before|after)$/.exec(part)
        if (match === null)
          throw new RangeError(
            `${JSON.stringify(name)} is not the name of a crash point, such as "17-after/3-before"`
          )
        return { point: Number(match[1]), when: match[2] as Cut["when"] }
      })
