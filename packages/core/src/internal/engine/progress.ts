/**
 * How far a visit is. Few of its reports are written: the first, then one now and then, and the last.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { OpenVisit } from "../../RunState.ts"
import { visitIn } from "../visits.ts"
import * as Telling from "./telling.ts"

type Report = Omit<NonNullable<OpenVisit["progress"]>, "nth">

/** At least so many milliseconds are between two reports that are written, */
const shortest = 1_000
/** and this share of the time that the visit has taken: a visit of a month writes a few thousand of them. */
const share = 1 / 200

interface Meter {
  readonly report: (report: Report) => Effect.Effect<unknown>
}

const make = (telling: Telling.Telling): Meter => {
  const { host, live, where } = telling
  const runFork = Effect.runForkWith(host.context)
  /** How many reports this execution of the visit has made. */
  let nth = 0
  let last: Report | undefined
  /** Whether the last report is to be written. */
  let pending = false
  let began = 0
  let due = 0
  let timer: Fiber.Fiber<unknown> | undefined

  const recorded = () => visitIn(host.state(), where.branch ?? "")?.progress

  const write = (force: boolean) =>
    Effect.suspend(() => {
      pending = false
      const report = last!
      const now = live.currentTimeMillisUnsafe()
      due = now + Math.max(shortest, (now - began) * share)
      const at = nth
      return Telling.write(telling, ({ progress }) => {
        const before = progress?.nth ?? 0
        if (force ? isSame(report, progress) : at <= before) return undefined
        return [{ kind: "progressed", ...where, nth: Math.max(at, before + 1), ...report }]
      })
    })

  telling.flush = (exit) => {
    timer?.interruptUnsafe()
    if (pending) return write(false)
    // An earlier execution may have made more reports than this one, which completed.
    return last !== undefined && Exit.isSuccess(exit) ? write(true) : Effect.void
  }

  return {
    report: (report) => {
      nth += 1
      last = report
      const now = live.currentTimeMillisUnsafe()
      if (nth === 1) began = now
      // An earlier execution of the visit came this far.
      if (nth <= (recorded()?.nth ?? 0)) return Effect.void
      pending = true
      if (now >= due) return write(false)
      timer ??= runFork(
        Effect.andThen(
          live.sleep(Duration.millis(due - now)),
          Effect.suspend(() => {
            timer = undefined
            return pending ? write(false) : Effect.void
          })
        )
      )
      return Effect.void
    }
  }
}

const isSame = (a: Report, b: Report | undefined): boolean =>
  a.done === b?.done && a.total === b.total && a.note === b.note

export const report = (
  telling: Telling.Telling,
  done: number,
  total: number,
  note: string | undefined
): Effect.Effect<unknown> =>
  Telling.allowed(telling, "Run.progress", (): Effect.Effect<unknown> => {
    if (!Number.isFinite(done) || !Number.isFinite(total)) {
      return Effect.die(new RangeError(`Run.progress: ${done} of ${total} are not numbers to tell`))
    }
    // In a replay nothing is written.
    if (telling.host.refuse !== undefined) return Effect.void
    const meter = (telling.meter ??= make(telling)) as Meter
    return meter.report(note === undefined ? { done, total } : { done, total, note })
  })
