/**
 * What a swarm left: whether every run ended, once, as it had to, and nothing is lost or was done by whom it had been taken
 * from.
 */
import { Runs } from "@waymark/core"
import type * as Event from "@waymark/core/Event"
import { FsStore } from "@waymark/store-fs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import { calls, Errand, idOf, kindOf, outputOf } from "./errand.ts"

export interface Verdict {
  readonly completed: number
  readonly cancelled: number
  readonly events: number
  /** How often a run was taken over. */
  readonly claims: number
  /** How often a call was executed again because its end was not on record. */
  readonly repeated: number
  readonly problems: ReadonlyArray<string>
}

const terminal = new Set(["completed", "failed", "cancelled"])

/** What is wrong with the events of one run. */
const flawsOf = function* (n: number, events: ReadonlyArray<Event.Event>, executed: ReadonlyArray<number>) {
  const ends = events.filter(({ kind }) => terminal.has(kind))
  if (ends.length !== 1) yield `it ended ${ends.length} times`
  if (ends[0] !== events[events.length - 1]) yield "something follows its end"
  const end = ends[0]
  const kind = kindOf(n)
  if (kind === "cancelled") {
    if (end?.kind !== "cancelled") yield `it had to be cancelled, and is ${end?.kind}`
  } else if (end?.kind !== "completed") {
    yield `it had to complete, and is ${JSON.stringify(end)}`
  } else if (end.output !== outputOf(n)) {
    yield `it came to ${JSON.stringify(end.output)}, not ${outputOf(n)}`
  }
  let epoch = 0
  const recorded = new Set<string>()
  for (const event of events) {
    if (event.epoch < epoch) yield `seq ${event.seq} is of epoch ${event.epoch}, after one of epoch ${epoch}`
    if (event.epoch > epoch && event.kind !== "claimed")
      yield `epoch ${event.epoch} does not begin with a claim`
    epoch = event.epoch
    if (event.kind === "callCompleted") {
      const call = `${event.visit} ${event.call}`
      if (recorded.has(call)) yield `call ${call} completed twice`
      recorded.add(call)
    }
  }
  const needed = kind === "cancelled" ? recorded.size : calls
  for (let call = 0; call < needed; call++) {
    const times = executed[call] ?? 0
    if (times === 0) yield `call ${call} was never executed`
    // Each owner executes a call once at most.
    if (times > epoch + 1) yield `call ${call} was executed ${times} times by ${epoch + 1} owners`
  }
  const signals = events.filter((event) => event.kind === "waitEnded").length
  if (kind === "signalled" && signals !== 1) yield `its wait ended ${signals} times`
}

/** Waits until no run of the directory is unfinished, and judges all of them. */
export const judge = (
  options: { readonly directory: string; readonly witness: string; readonly runs: number },
  patience: number
): Effect.Effect<Verdict, unknown> =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const problems: Array<string> = []
    const deadline = Date.now() + patience
    while (true) {
      const { runs: open } = yield* runs.list({
        status: ["pending", "running", "waiting", "paused", "cancelling"],
        limit: 5
      })
      if (open.length === 0) break
      if (Date.now() > deadline) {
        for (const info of open)
          problems.push(`${info.run} is ${info.status}, for ever: ${JSON.stringify(info)}`)
        break
      }
      yield* Effect.sleep(200)
    }
    const executed = new Map<number, Array<number>>()
    for (const line of readFileSync(options.witness, "utf8").split("\n").slice(0, -1)) {
      const [n, call] = line.split(" ").map(Number) as [number, number]
      const times = executed.get(n) ?? []
      executed.set(n, times)
      times[call] = (times[call] ?? 0) + 1
    }
    const counted = { completed: 0, cancelled: 0, events: 0, claims: 0, repeated: 0 }
    for (let n = 0; n < options.runs; n++) {
      const id = idOf(n)
      const read = Effect.gen(function* () {
        const verified = yield* Runs.verify(id)
        const events = yield* Stream.runCollect(runs.events(Runs.ref(Errand, id), { order: "newest" }))
        events.reverse()
        const flaws = [...flawsOf(n, events, executed.get(n) ?? [])]
        if (verified.to !== events.length - 1)
          flaws.push(`it is verified up to ${verified.to} of ${events.length}`)
        const last = events[events.length - 1]
        if (last?.kind === "completed") counted.completed += 1
        if (last?.kind === "cancelled") counted.cancelled += 1
        counted.events += events.length
        counted.claims += last?.epoch ?? 0
        for (const times of executed.get(n) ?? []) counted.repeated += Math.max(0, (times ?? 0) - 1)
        return flaws
      })
      const flaws = yield* Effect.catch(read, (error) =>
        Effect.succeed([(error as { readonly message: string }).message])
      )
      for (const flaw of flaws) problems.push(`${id}: ${flaw}`)
    }
    return { ...counted, problems }
  }).pipe(
    Effect.provide(
      Layer.provide(
        Runs.layer,
        FsStore.layer({ directory: options.directory, readOnly: true, pollInterval: 50 })
      )
    )
  )
