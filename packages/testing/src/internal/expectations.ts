/**
 * What a test expects of a run, and how it lets time pass until it may expect it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Event, Failure, Of, PauseReason } from "@waymark/core/Event"
import type * as Flow from "@waymark/core/Flow"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import { ExpectationFailed } from "./expectation.ts"
import { failureText } from "./eventText.ts"
import * as Given from "./given.ts"
import { nameOf, storyOf } from "./story.ts"
import { TestRuntime } from "./testRuntime.ts"

/**
 * An open wait of a run, as the run index has it: its own name (`wait`), its type, the name and key it was given, and when it
 * is over (milliseconds).
 *
 * @category models
 * @since 0.1.0
 */
export type OpenWait = RunInfo["waits"][number]

type Needs = TestRuntime | Runs.Runs

const idOf = (run: Runs.RunLike): string => (typeof run === "string" ? run : run.id)

const indented = (lines: ReadonlyArray<string>): string => lines.map((line) => `  ${line}`).join("\n")

/** The durable events of a run so far. */
const eventsOf = (run: Runs.RunLike): Effect.Effect<ReadonlyArray<Event>, Runs.ReadError, Runs.Runs> =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const { seq } = yield* runs.get(run)
    return yield* Stream.runCollect(runs.events(run, { to: seq }))
  })

const linesOf = (run: Runs.RunLike): Effect.Effect<ReadonlyArray<string>, Runs.ReadError, Runs.Runs> =>
  Effect.map(eventsOf(run), storyOf)

/**
 * What a run did so far, one line for each event that counts, in words that stay the same as long as it does the same: no
 * positions, times, hashes and owners. It makes a good snapshot: `expect(yield* TestRuntime.timeline(run)).toMatchInlineSnapshot()`.
 *
 * @category expectations
 * @since 0.1.0
 */
export const timeline = (run: Runs.RunLike): Effect.Effect<string, Runs.ReadError, Needs> =>
  Effect.flatMap(TestRuntime, ({ idle }) => {
    Given.argument("TestRuntime.timeline", "run", run, Given.aRun)
    return Effect.andThen(
      idle,
      Effect.map(linesOf(run), (lines) => lines.join("\n"))
    )
  })

/** How a run stands, in words. */
const standing = (info: RunInfo): string => {
  const waits = info.waits.map(({ name, type }) => name ?? type)
  return `${info.status}${info.status === "waiting" && waits.length > 0 ? ` for ${waits.join(", ")}` : ""}`
}

/** Fails, and shows what the run did. */
const refuse = (
  run: Runs.RunLike,
  expected: string,
  info: RunInfo,
  more = ""
): Effect.Effect<never, ExpectationFailed | Runs.ReadError, Runs.Runs> =>
  Effect.flatMap(linesOf(run), (lines) => {
    const actual = standing(info)
    const detail = `run ${JSON.stringify(idOf(run))} was expected to be ${expected}, and is ${actual}${more}\n${indented(lines)}`
    return Effect.fail(new ExpectationFailed({ detail, expected, actual }))
  })

/** The run as it is when nothing can go on without time passing. */
const rested = (where: string, run: Runs.RunLike) =>
  Effect.gen(function* () {
    Given.argument(`TestRuntime.${where}`, "run", run, Given.aRun)
    const { idle } = yield* TestRuntime
    yield* idle
    return yield* (yield* Runs.Runs).get(run)
  })

/** The last event of this kind. */
const last = <const K extends Event["kind"]>(run: Runs.RunLike, kind: K) =>
  Effect.map(eventsOf(run), (events) => events.findLast((event): event is Of<K> => event.kind === kind)!)

/**
 * Waits until nothing can go on without time passing; then the run must have completed. Gives its output.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectCompleted = <F extends Flow.Any>(
  run: Runs.Run<F>
): Effect.Effect<Flow.Output<F>, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    const info = yield* rested("expectCompleted", run)
    if (info.status !== "completed") return yield* refuse(run, "completed", info)
    const runs = yield* Runs.Runs
    return yield* Effect.orDie(runs.await(run))
  })

/**
 * Waits likewise; then the run must have failed, with this error (its tag) if one is named. Gives the failure as it is
 * stored.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectFailed = (
  run: Runs.RunLike,
  tag?: string
): Effect.Effect<Failure, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    Given.argument("TestRuntime.expectFailed", "tag", tag, Given.optional(Given.aText))
    const info = yield* rested("expectFailed", run)
    const expected = tag === undefined ? "failed" : `failed with ${tag}`
    if (info.status !== "failed") return yield* refuse(run, expected, info)
    const { error } = yield* last(run, "failed")
    const name = error.kind === "error" ? error.tag : error.kind === "defect" ? error.name : error.kind
    if (tag !== undefined && name !== tag)
      return yield* refuse(run, expected, info, ` with ${failureText(error)}`)
    return error
  })

/**
 * Waits likewise; then the run must have been cancelled. Gives the reason.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectCancelled = (
  run: Runs.RunLike
): Effect.Effect<string, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    const info = yield* rested("expectCancelled", run)
    if (info.status !== "cancelled") return yield* refuse(run, "cancelled", info)
    return (yield* last(run, "cancelled")).reason
  })

/**
 * Waits likewise; then the run must be paused, for a reason of this kind if one is named. Gives the reason.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectPaused = (
  run: Runs.RunLike,
  kind?: PauseReason["kind"]
): Effect.Effect<PauseReason, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    Given.argument("TestRuntime.expectPaused", "kind", kind, Given.optional(Given.aText))
    const info = yield* rested("expectPaused", run)
    const expected = kind === undefined ? "paused" : `paused (${kind})`
    if (info.status !== "paused") return yield* refuse(run, expected, info)
    const { reason } = yield* last(run, "paused")
    if (kind !== undefined && reason.kind !== kind)
      return yield* refuse(run, expected, info, ` (${reason.kind})`)
    return reason
  })

/** Whether a wait is called so: by the name that it was given, or by its own. */
const isCalled =
  (name: string) =>
  (wait: OpenWait): boolean =>
    wait.name === name || wait.wait === name

/**
 * Waits likewise; then the run must wait, for what is called so if a name is given: the name of a signal or a question, the
 * id of a job or of a run, or the wait's own name. Gives the wait.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectWaiting = (
  run: Runs.RunLike,
  name?: string
): Effect.Effect<OpenWait, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    Given.argument("TestRuntime.expectWaiting", "name", name, Given.optional(Given.aText))
    const info = yield* rested("expectWaiting", run)
    const wait = isTerminal(info.status)
      ? undefined
      : info.waits.find(name === undefined ? () => true : isCalled(name))
    return wait ?? (yield* refuse(run, name === undefined ? "waiting" : `waiting for ${name}`, info))
  })

/**
 * Waits likewise; then the timeline of the run must have these lines in this order, other lines between them or not: each
 * is the beginning of one, or a pattern.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectTimeline = (
  run: Runs.RunLike,
  expected: ReadonlyArray<string | RegExp>
): Effect.Effect<void, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    Given.argument("TestRuntime.expectTimeline", "expected", expected, someLines)
    yield* rested("expectTimeline", run)
    const actual = yield* linesOf(run)
    const found = new Set<number>()
    let at = 0
    for (const line of expected) {
      const matches = (text: string): boolean =>
        typeof line === "string" ? text.startsWith(line) : text.search(line) !== -1
      const index = actual.findIndex((text, i) => i >= at && matches(text))
      if (index === -1) {
        const where = at === 0 ? "" : ` after ${JSON.stringify(actual[at - 1])}`
        const what = typeof line === "string" ? `begins with ${JSON.stringify(line)}` : `matches ${line}`
        const marked = actual.map((text, i) => `${found.has(i) ? "✓" : " "} ${text}`)
        return yield* new ExpectationFailed({
          detail: `no line of the timeline of run ${JSON.stringify(idOf(run))} ${what}${where}\n${indented(marked)}`,
          expected: expected.map(String),
          actual
        })
      }
      found.add(index)
      at = index + 1
    }
  })

const someLines = Given.kind(
  "a list of the beginnings of lines, or of patterns, and not empty",
  (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((line) => Given.aText.fits(line) || line instanceof RegExp)
)

/** Lets time jump from timer to timer until it is so; fails when there is no timer left, or after too many. */
const advanceUntil = (
  where: string,
  run: Runs.RunLike,
  expected: string,
  isSo: (info: RunInfo) => Effect.Effect<boolean, Runs.ReadError, Runs.Runs>,
  isOver: (info: RunInfo) => boolean
): Effect.Effect<RunInfo, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    const { advanceToNext } = yield* TestRuntime
    for (let jumps = 0; ; jumps++) {
      const info = yield* rested(where, run)
      if (yield* isSo(info)) return info
      if (isOver(info)) return yield* refuse(run, expected, info)
      if (jumps === maxJumps) return yield* refuse(run, expected, info, ` after ${maxJumps} timers`)
      const passed = yield* advanceToNext
      if (Option.isNone(passed)) return yield* refuse(run, expected, info, "; no timer is left to wait for")
    }
  })

const maxJumps = 10_000

/**
 * Lets time jump from timer to timer until the run has ended, and gives the time that passed. It fails if the run is paused,
 * or waits for something that no timer ends.
 *
 * @category time
 * @since 0.1.0
 */
export const advanceToEnd = (
  run: Runs.RunLike
): Effect.Effect<Duration.Duration, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    const begun = (yield* rested("advanceToEnd", run)).updatedAt
    const { endedAt } = yield* advanceUntil(
      "advanceToEnd",
      run,
      "at its end",
      ({ status }) => Effect.succeed(isTerminal(status)),
      ({ status }) => status === "paused"
    )
    return Duration.millis(Math.max(0, endedAt! - begun))
  })

/**
 * Lets time jump from timer to timer until the run waits for what is called so (see `expectWaiting`), and gives the wait.
 * `nth` says how many waits of this name the run must have opened by then, one by default: for reminders and loops.
 *
 * @category time
 * @since 0.1.0
 */
export const advanceToWait = (
  run: Runs.RunLike,
  name: string,
  options: { readonly nth?: number | undefined } = {}
): Effect.Effect<OpenWait, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.gen(function* () {
    Given.refuse("TestRuntime.advanceToWait", [
      ...Given.problemOf("name", name, Given.aText),
      ...Given.problemsOf<typeof options>(options, { nth: Given.optional(Given.aCount(1)) })
    ])
    const nth = options.nth ?? 1
    const opened = Effect.map(eventsOf(run), (events) => {
      const names = events.flatMap((event) => (event.kind === "waitOpened" ? [nameOf(event)] : []))
      return names.filter((own) => own === name).length
    })
    const info = yield* advanceUntil(
      "advanceToWait",
      run,
      `waiting for ${name}${nth === 1 ? "" : ` (number ${nth})`}`,
      ({ status, waits }) =>
        isTerminal(status) || !waits.some(isCalled(name))
          ? Effect.succeed(false)
          : nth === 1
            ? Effect.succeed(true)
            : Effect.map(opened, (count) => count >= nth),
      ({ status }) => isTerminal(status) || status === "paused"
    )
    return info.waits.find(isCalled(name))!
  })

/**
 * Lets time jump from timer to timer until the run is paused, for a reason of this kind if one is named, and gives the
 * reason.
 *
 * @category time
 * @since 0.1.0
 */
export const advanceToPause = (
  run: Runs.RunLike,
  kind?: PauseReason["kind"]
): Effect.Effect<PauseReason, ExpectationFailed | Runs.ReadError, Needs> =>
  Effect.andThen(
    advanceUntil(
      "advanceToPause",
      run,
      "paused",
      ({ status }) => Effect.succeed(status === "paused"),
      ({ status }) => isTerminal(status)
    ),
    expectPaused(run, kind)
  )
