/**
 * Random scripts of what happens to one run that waits and branches: people, crashes, time. A simple model says, step by
 * step, what has to come of it.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Request } from "@waymark/core/Command"
import type { Event } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Wait from "@waymark/core/Wait"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as FakeTools from "../src/FakeTools.ts"
import * as TestRuntime from "../src/TestRuntime.ts"
import { endings, expectConsumedOnce } from "./engineWaiting.ts"
import { picking } from "./picking.ts"

class Bad extends Schema.TaggedError<Bad>()("Bad", { n: Schema.Int }) {}

const Work = Tool.make("work", { input: Schema.Int, output: Schema.Int, error: Bad })
const kinds = ["signal", "race", "ask", "twice"] as const
const minutes = 60_000
/** The race of branch `i` is over after so long. */
const limitOf = (i: number): number => (i + 2) * 5 * minutes

const Mixed = Flow.make("mixed", {
  input: Schema.Array(Schema.Struct({ i: Schema.Int, kind: Schema.Literals(kinds) })),
  state: { list: State.list(Schema.Int) },
  output: Schema.Array(Schema.Int),
  error: Bad,
  signals: { extra: Schema.Int },
  start: "split",
  nodes: {
    split: Node.make({ to: [], fanOut: { to: ["check"], join: "merge" } }),
    check: Node.make({
      item: Schema.Struct({ i: Schema.Int, kind: Schema.Literals(kinds) }),
      to: ["again", "merge"],
      error: Bad
    }),
    again: Node.make({ to: ["merge"], error: Bad }),
    merge: Node.make({ to: ["end"], error: Bad })
  }
})
type Branch = (typeof Mixed)["input"]["Type"][number]

const go = (i: number) => Wait.event("go", { schema: Schema.Int, key: String(i) })

const handlers = Mixed.toLayer({
  split: ({ input, next }) => Effect.succeed(next.each(input, "check")),
  check: ({ item: { i, kind }, next }) =>
    Effect.gen(function* () {
      if (kind === "twice") return next.to("again", { list: [i, yield* Work.call(yield* go(i))] })
      let n: number
      if (kind === "signal") n = yield* go(i)
      else if (kind === "ask") {
        n = yield* Wait.user(`ask-${i}`, { prompt: "?", schema: Schema.Int, choices: [1, 2, 3] })
      } else {
        const won = yield* Wait.race({ go: go(i), late: Wait.sleep(Duration.millis(limitOf(i))) })
        n = won.winner === "go" ? won.value : 0
      }
      return next.to("merge", { list: [yield* Work.call(n)] })
    }),
  again: ({ next, state }) => Effect.map(go(state.list[0]!), (n) => next.to("merge", { list: [n] })),
  merge: ({ next, state }) =>
    Effect.gen(function* () {
      const first = yield* Wait.event("extra", { schema: Schema.Int })
      const second = yield* Wait.event("extra", { schema: Schema.Int })
      return next.end([...state.list, yield* Work.call(-first), second])
    })
})

// ---------------------------------------------------------------------------------------------------------------
// scripts
// ---------------------------------------------------------------------------------------------------------------

type Action =
  | { readonly do: "go"; readonly i: number; readonly payload: number | "wrong" }
  | { readonly do: "answer"; readonly i: number; readonly value: number }
  | { readonly do: "extra"; readonly payload: number | "wrong" }
  /** A command that was sent before comes again. */
  | { readonly do: "repeat"; readonly which: number }
  | { readonly do: "crash" | "drain"; readonly down: number }
  | { readonly do: "time"; readonly millis: number }
  | { readonly do: "pause" | "resume" | "retry" | "repair" }

interface Script {
  readonly branches: ReadonlyArray<Branch>
  readonly keepWaiting: number
  readonly actions: ReadonlyArray<Action>
}

const scriptOf = (seed: number): Script => {
  const pick = picking(seed)
  const count = 1 + pick(4)
  const branches = Array.from({ length: count }, (_, i): Branch => ({ i, kind: kinds[pick(kinds.length)]! }))
  // The first of the extras, if it is a multiple of 5, fails as long as the tool is broken.
  const payload = () => (pick(8) === 0 ? ("wrong" as const) : 1 + pick(20))
  const action = (): Action => {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
        return { do: "go", i: pick(count), payload: payload() }
      case 3:
        return { do: "answer", i: pick(count), value: 1 + pick(4) }
      case 4:
        return { do: "extra", payload: payload() }
      case 5:
        return { do: "repeat", which: pick(8) }
      case 6:
        return { do: "crash", down: pick(3) * 7 * minutes }
      case 7:
        return { do: "drain", down: pick(3) * 7 * minutes }
      case 8:
        return { do: "time", millis: (1 + pick(9)) * 2 * minutes }
      case 9:
        return { do: "pause" }
      case 10:
        return { do: "resume" }
      default:
        return { do: pick(2) === 0 ? "retry" : "repair" }
    }
  }
  return {
    branches,
    keepWaiting: pick(2) * 4 * minutes,
    actions: Array.from({ length: 5 + pick(25) }, action)
  }
}

// ---------------------------------------------------------------------------------------------------------------
// the model
// ---------------------------------------------------------------------------------------------------------------

interface Line {
  readonly i: number
  readonly kind: (typeof kinds)[number]
  at: "first" | "second" | "over"
  /** What the wait came to, until it is used. */
  got: number | undefined
  due: number
  list: Array<number>
}

/** What has to come of a script, worked out without journals, fibers or handlers. */
const modelOf = (branches: ReadonlyArray<Branch>) => {
  let status: "waiting" | "paused" | "failed" | "completed" = "waiting"
  let isBroken = true
  let now = 0
  const lines = branches.map(({ i, kind }): Line => ({
    i,
    kind,
    at: "first",
    got: undefined,
    due: limitOf(i),
    list: []
  }))
  const kept: Array<number> = []
  const extras: Array<number> = []
  let output: ReadonlyArray<number> | undefined

  const isMain = (): boolean => lines.every(({ at }) => at === "over")

  /** Everything goes on as far as it can, and nothing takes time but waits. */
  const goOn = (): void => {
    if (status !== "waiting") return
    for (const line of lines) {
      if (line.kind === "race" && line.at === "first" && line.got === undefined && line.due <= now)
        line.got = 0
      if (line.got === undefined || line.at === "over") continue
      const n = line.got
      if (line.kind === "twice" && line.at === "first") {
        line.list.push(line.i, n)
        line.at = "second"
        line.got = undefined
      } else {
        line.list.push(n)
        line.at = "over"
      }
    }
    if (!isMain()) return
    while (extras.length < 2 && kept.length > 0) extras.push(kept.shift()!)
    if (extras.length < 2) return
    if (isBroken && extras[0]! % 5 === 0) status = "failed"
    else {
      status = "completed"
      output = [...lines.flatMap(({ list }) => list), ...extras]
    }
  }

  const waitingFor = (i: number): Line | undefined => {
    const line = lines[i]!
    const isOpen = line.got === undefined && line.at !== "over" && line.kind !== "ask"
    return isOpen ? line : undefined
  }

  return {
    get status() {
      return status
    },
    get output() {
      return output
    },
    lines,
    isMain,
    /** The open waits of branches. */
    open: () =>
      lines.flatMap(({ at, got, i, kind }) => {
        if (got !== undefined || at === "over") return []
        if (kind === "ask") return [`1.${i} user ask-${i}`]
        const go = `1.${i} event ${i}`
        return kind === "race" ? [go, `1.${i} until `] : [go]
      }),
    go: (i: number, payload: number | "wrong"): boolean => {
      if (status === "failed" || status === "completed" || payload === "wrong") return false
      const line = waitingFor(i)
      if (line === undefined) return false
      line.got = payload
      return true
    },
    answer: (i: number, value: number): boolean => {
      if (status === "failed" || status === "completed" || value > 3) return false
      const line = lines[i]!
      if (line.kind !== "ask" || line.at === "over" || line.got !== undefined) return false
      line.got = value
      return true
    },
    extra: (payload: number | "wrong"): boolean => {
      if (status === "failed" || status === "completed" || payload === "wrong") return false
      kept.push(payload)
      return true
    },
    pause: (): void => {
      if (status === "waiting") status = "paused"
    },
    resume: (): void => {
      if (status === "paused") status = "waiting"
    },
    retry: (): void => {
      if (status === "failed") status = "waiting"
    },
    repair: (): void => {
      isBroken = false
    },
    time: (millis: number): void => {
      now += millis
    },
    goOn
  }
}

// ---------------------------------------------------------------------------------------------------------------
// the engine beside the model
// ---------------------------------------------------------------------------------------------------------------

const play = ({ actions, branches, keepWaiting }: Script) => {
  const tool = { isBroken: true }
  // The main line calls with negative numbers.
  const tools = FakeTools.make(
    FakeTools.answer(Work, (n) =>
      tool.isBroken && n < 0 && n % 5 === 0 ? FakeTools.fail(new Bad({ n })) : FakeTools.succeed(Math.abs(n))
    )
  )
  return Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const store = yield* Store
    const runtime = yield* TestRuntime.TestRuntime
    const model = modelOf(branches)
    const sent: Array<{ readonly id: string; readonly request: Request }> = []
    let count = 0
    const run = yield* runs.start(Mixed, branches, { id: "r" })
    yield* runtime.idle
    model.goOn()

    /** Sends a signal or an answer, and compares whether it is accepted. */
    const send = (
      request: Extract<Request, { type: "signal" | "answer" }>,
      isAccepted: boolean,
      raw: boolean
    ) =>
      Effect.gen(function* () {
        const id = `c${++count}`
        if (raw) return yield* store.send({ id, run: "r", time: 0, request })
        const options = { commandId: id }
        const key = request.type === "signal" && request.key !== undefined ? { key: request.key } : undefined
        const exit = yield* Effect.exit(
          request.type === "signal"
            ? runs.signal(run, request.name, request.payload, { ...options, ...key })
            : runs.answer(run, request.wait, request.value, options)
        )
        assert.strictEqual(Exit.isSuccess(exit), isAccepted, `${JSON.stringify(request)} is accepted`)
        if (isAccepted) sent.push({ id, request })
      })

    const act = (action: Action) =>
      Effect.gen(function* () {
        switch (action.do) {
          case "go": {
            const { i, payload } = action
            const isAccepted = model.go(i, payload)
            return yield* send(
              { type: "signal", name: "go", key: String(i), payload },
              isAccepted,
              payload === "wrong"
            )
          }
          case "extra": {
            const isAccepted = model.extra(action.payload)
            return yield* send(
              { type: "signal", name: "extra", payload: action.payload },
              isAccepted,
              action.payload === "wrong"
            )
          }
          case "answer": {
            const isAccepted = model.answer(action.i, action.value)
            return yield* send(
              { type: "answer", wait: `ask-${action.i}`, value: action.value },
              isAccepted,
              false
            )
          }
          case "repeat": {
            const before = sent[action.which]
            if (before !== undefined) yield* store.send({ ...before, run: "r", time: 0 })
            return
          }
          case "crash":
          case "drain":
            yield* runtime.stop(action.do)
            yield* TestClock.adjust(action.down)
            model.time(action.down)
            return yield* runtime.start
          case "time":
            model.time(action.millis)
            return yield* TestClock.adjust(action.millis)
          case "pause":
            model.pause()
            return yield* Effect.ignore(runs.pause(run))
          case "resume":
            model.resume()
            return yield* Effect.ignore(runs.resume(run))
          case "retry":
            model.retry()
            return yield* Effect.ignore(runs.retry(run))
          case "repair":
            model.repair()
            tool.isBroken = false
        }
      })

    const follow = (action: Action, isSudden: boolean) =>
      Effect.gen(function* () {
        yield* act(action)
        // What follows at once finds the worker in the middle of it.
        if (isSudden) return
        yield* runtime.idle
        model.goOn()
        const { status, waits } = yield* runs.get(run)
        const after = `after ${JSON.stringify(action)}`
        assert.strictEqual(status, model.status, after)
        if (status === "failed" || status === "completed") return
        // Which branches wait, and for what; of a race, for the signal and for the time.
        const open = waits.flatMap(({ branch, key, name, type }) =>
          branch === undefined ? [] : [`${branch} ${type} ${key ?? name ?? ""}`]
        )
        assert.deepStrictEqual(open.sort(), [...model.open()].sort(), after)
      })

    for (const [index, action] of actions.entries()) {
      const next = actions[index + 1]
      const isTold = action.do === "go" || action.do === "answer" || action.do === "extra"
      yield* follow(action, isTold && next?.do === "crash")
    }

    // Whoever waits still is given what it waits for.
    yield* follow({ do: "repair" }, false)
    for (let turn = 0; model.status !== "completed"; turn++) {
      assert.isBelow(turn, 50, "the script does not end")
      if (model.status === "paused") yield* follow({ do: "resume" }, false)
      else if (model.status === "failed") yield* follow({ do: "retry" }, false)
      else if (model.isMain()) yield* follow({ do: "extra", payload: 7 }, false)
      else {
        for (const { i, kind } of model.lines) {
          if (kind === "ask") yield* follow({ do: "answer", i, value: 2 }, false)
          else yield* follow({ do: "go", i, payload: 8 }, false)
        }
      }
    }
    assert.deepStrictEqual(yield* runs.await(run), model.output)

    const journal: ReadonlyArray<Event> = (yield* store.read("r")).map(({ event }) => event)
    expectConsumedOnce(journal)
    endings(journal)
    const answered = journal.flatMap((event) =>
      "command" in event && event.command !== undefined ? [event.command.id] : []
    )
    assert.strictEqual(new Set(answered).size, answered.length, "a command counts twice")
    for (const { id } of sent) assert.include(answered, id, "a command is lost")
    const completed = journal.filter((event) => event.kind === "callCompleted")
    assert.strictEqual(completed.length, branches.length + 1, "calls that completed")
    assert.strictEqual((yield* Runs.verify(run)).to, journal.length - 1)
  }).pipe(
    Effect.provide(
      TestRuntime.layer({
        flows: [Mixed],
        handlers: Layer.provide(handlers, tools.layer),
        // The worker is not to find what it missed by looking now and then.
        worker: { keepWaiting, timers: Duration.infinity }
      })
    )
  )
}

/** What is left of a script when everything is taken away without which it fails, too. */
const shrink = Effect.fnUntraced(function* (script: Script) {
  let small = script
  for (let at = small.actions.length - 1; at >= 0; at--) {
    const without = { ...small, actions: small.actions.filter((_, index) => index !== at) }
    if (Exit.isFailure(yield* Effect.exit(play(without)))) small = without
  }
  return small
})

describe("a random script of signals, answers, crashes, pauses, retries and time", () => {
  const each = 20
  for (let first = 1; first <= 300; first += each) {
    it.effect(
      `comes to what a simple model says (seeds ${first} to ${first + each - 1})`,
      () =>
        Effect.gen(function* () {
          for (let seed = first; seed < first + each; seed++) {
            const script = scriptOf(seed)
            const exit = yield* Effect.exit(play(script))
            if (Exit.isSuccess(exit)) continue
            const small = yield* shrink(script)
            const again = yield* Effect.exit(play(small))
            const cause = Exit.isFailure(again) ? again.cause : exit.cause
            return yield* Effect.die(
              new Error(`seed ${seed}, shrunk to ${JSON.stringify(small, null, 1)}: ${Cause.pretty(cause)}`)
            )
          }
        }),
      300_000
    )
  }
})
