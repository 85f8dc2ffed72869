import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { DebugProtocol } from "@vscode/debugprotocol"
import { MemoryStore, Runs } from "@waymark/core"
import { Deferred, Effect, Queue } from "effect"
import * as HistoryAdapter from "../src/debugging/HistoryAdapter.ts"
import * as HistorySession from "../src/debugging/HistorySession.ts"
import { keysOf } from "../src/debugging/Values.ts"
import { readAll, readOne } from "../src/reading/Journals.ts"
import * as Stores from "../src/reading/Stores.ts"
import { definitionsOf } from "../src/source/definitions.ts"
import { sitesOf } from "../src/source/Sources.ts"
import { Counter, Order, layerOn, order, place, waiting } from "./orders.ts"

const file = resolve(import.meta.dirname, "../e2e/workspace/flows/order.ts")
const text = readFileSync(file, "utf8")
const lineOf = (part: string) => text.slice(0, text.indexOf(part)).split("\n").length
const sites = sitesOf([{ path: file, definitions: definitionsOf(text) }])

/** A client of the protocol: asks, and waits for the next stop. */
const client = Effect.fn(function* (run: string, checkpoint?: number) {
  const stores = yield* Stores.Stores
  yield* stores.use([place])
  const open = yield* stores.open("/s")
  const stopped = yield* Queue.unbounded<{
    readonly reason: string
    readonly threadId: number
    readonly description?: string
  }>()
  const events: Array<string> = []
  const answers = new Map<number, Deferred.Deferred<DebugProtocol.Response>>()
  let position = -1
  const adapter = HistoryAdapter.make(
    (message) => {
      if (message.type === "event") {
        const { body, event } = message as DebugProtocol.Event
        events.push(event)
        if (event === "stopped") Queue.offerUnsafe(stopped, body)
        return
      }
      const response = message as DebugProtocol.Response
      Deferred.doneUnsafe(answers.get(response.request_seq)!, Effect.succeed(response))
    },
    (_configuration, send) =>
      Effect.gen(function* () {
        const session = HistorySession.make({
          reader: {
            info: Effect.map(open.store.get(run), ({ info }) => info),
            event: (seq) => readOne(open, run, seq),
            stateAt: (seq) => open.runs.stateAt(run, seq),
            scan: (from, direction, take) => readAll(open, run, { from, direction }, take),
            sites: Effect.succeed(sites)
          },
          send,
          moved: (seq) => void (position = seq)
        })
        yield* session.launch(checkpoint)
        return session
      })
  )
  let seq = 1
  const raw = (command: string, args: unknown = {}) =>
    Effect.gen(function* () {
      const request = { type: "request" as const, seq: seq++, command, arguments: args }
      const answer = Deferred.makeUnsafe<DebugProtocol.Response>()
      answers.set(request.seq, answer)
      yield* adapter.handle(request)
      return yield* Deferred.await(answer)
    })
  const ask = (command: string, args?: unknown) =>
    Effect.map(raw(command, args), ({ body, message, success }) => {
      assert.isTrue(success, message)
      return body
    })
  /** Asks for a move, and waits until it has come to a stop: where, and why. */
  const go = (command: string, args?: unknown) =>
    Effect.gen(function* () {
      yield* ask(command, args)
      const { reason, threadId } = yield* Queue.take(stopped)
      const [frame] = (yield* ask("stackTrace", { threadId })).stackFrames
      return { reason, name: frame.name as string, line: frame.line as number, threadId, position }
    })
  const variables = (name: string) =>
    Effect.gen(function* () {
      const { scopes } = yield* ask("scopes", { frameId: 1 })
      const scope = scopes.find((each: { name: string }) => each.name === name)
      if (scope === undefined) return undefined
      const found = (yield* ask("variables", { variablesReference: scope.variablesReference })).variables
      return Object.fromEntries(found.map((each: { name: string; value: string }) => [each.name, each.value]))
    })
  assert.isTrue((yield* ask("initialize", {})).supportsStepBack)
  yield* ask("launch", {})
  return { ask, raw, go, variables, events, begin: go("configurationDone") }
})

const on = <A, E>(body: Effect.Effect<A, E, Stores.Stores | Runs.Runs>) =>
  Effect.provide(body, layerOn(MemoryStore.makeDisk()))

describe("the history debugger", () => {
  it.live("begins at the end, and steps back and forth over checkpoints", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const { ask, begin, go, variables } = yield* client("o")
        const failed = yield* begin
        assert.strictEqual(failed.name, "pay: the run failed")
        assert.strictEqual(failed.line, lineOf('pay: Effect.fn("pay")'))
        assert.strictEqual((yield* variables("Error"))!["tag"], '"PaymentDeclined"')
        assert.deepStrictEqual(yield* variables("State"), { card: '"bad"', prices: "Array(1)", total: "200" })
        // Frames are asked for piece by piece, and each is given once.
        const named = (args: object) =>
          Effect.map(ask("stackTrace", { threadId: 1, ...args }), ({ stackFrames }) =>
            stackFrames.map(({ name }: { name: string }) => name)
          )
        assert.deepStrictEqual(yield* named({ startFrame: 0, levels: 1 }), ["pay: the run failed"])
        assert.deepStrictEqual(yield* named({ startFrame: 1, levels: 19 }), [
          "flow order · run o @" + failed.position
        ])

        const approved = yield* go("stepBack")
        assert.deepStrictEqual([approved.name, approved.reason], ["approve: completed", "step"])
        assert.strictEqual((yield* go("next")).name, failed.name)
        // There is nothing beyond: it stays, and says so.
        assert.strictEqual((yield* go("next")).position, failed.position)
        assert.deepInclude(yield* go("restart"), { position: 0, reason: "entry" })
        assert.deepStrictEqual(yield* variables("State"), { total: "0" })
        assert.strictEqual((yield* go("stepBack")).position, 0)
      })
    )
  )

  it.live("steps over branches, into them and out of them, and shows them as threads", () =>
    on(
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        const lines = ["pen", "paper", "lamp"].map((article) => ({ article, quantity: 1 }))
        yield* runs.start(Order, { lines, card: "good" }, { id: "o" })
        yield* waiting("o")
        const { ask, begin, go } = yield* client("o", 0)
        assert.strictEqual((yield* begin).position, 0)
        const forked = yield* go("next")
        assert.strictEqual(forked.name, "receive: completed")
        const { threads } = yield* ask("threads")
        assert.deepStrictEqual(
          threads.map(({ name }: { name: string }) => name),
          ["run o", "branch 1.0", "branch 1.1", "branch 1.2"]
        )
        const [frame] = (yield* ask("stackTrace", { threadId: threads[1].id })).stackFrames
        assert.strictEqual(frame.name, "price [1.0]")
        assert.strictEqual(frame.line, lineOf('price: Effect.fn("price")'))

        const within = yield* go("stepIn")
        assert.match(within.name, /^price \[1\.\d\]: completed$/)
        assert.notStrictEqual(within.threadId, 1)
        assert.match((yield* go("stepOut")).name, /branches were joined/)
        // Back over the branches.
        assert.strictEqual((yield* go("stepBack")).name, "receive: completed")
        assert.match((yield* go("next")).name, /branches were joined/)
      })
    )
  )

  it.live("stops at breakpoints of lines, nodes and channels, and where filters say", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const { ask, begin, go } = yield* client("o", 0)
        yield* begin
        const inHandler = lineOf("const { approve } = yield*")
        const { breakpoints } = yield* ask("setBreakpoints", {
          source: { path: file },
          breakpoints: [{ line: inHandler }, { line: 1 }]
        })
        assert.deepInclude(breakpoints[0], { verified: true, line: lineOf('approve: Effect.fn("approve")') })
        assert.deepInclude(breakpoints[1], { verified: false })
        assert.deepInclude(yield* go("continue"), { reason: "breakpoint", name: "approve: waits" })
        yield* ask("setBreakpoints", { source: { path: file }, breakpoints: [] })

        yield* ask("setExceptionBreakpoints", { filters: ["failed"] })
        const failed = yield* go("continue")
        assert.deepInclude(failed, { reason: "exception", name: "pay: the run failed" })
        const info = yield* ask("exceptionInfo", { threadId: 1 })
        assert.strictEqual(info.exceptionId, "PaymentDeclined")
        assert.include(info.description, "expired")
        yield* ask("setExceptionBreakpoints", { filters: ["waiting"] })
        assert.deepInclude(yield* go("reverseContinue"), { reason: "exception", name: "approve: waits" })
        yield* ask("setExceptionBreakpoints", { filters: [] })

        const { scopes } = yield* ask("scopes", { frameId: 1 })
        const { dataId } = yield* ask("dataBreakpointInfo", {
          variablesReference: scopes[0].variablesReference,
          name: "total"
        })
        assert.strictEqual(dataId, "total")
        yield* ask("setDataBreakpoints", { breakpoints: [{ dataId }] })
        assert.deepInclude(yield* go("reverseContinue"), {
          reason: "data breakpoint",
          name: "sum: completed"
        })
        yield* ask("setDataBreakpoints", { breakpoints: [] })

        yield* ask("setFunctionBreakpoints", { breakpoints: [{ name: "price" }] })
        assert.deepInclude(yield* go("reverseContinue"), {
          reason: "function breakpoint",
          name: "price [1.0]: completed"
        })
        // Nothing more: the beginning.
        assert.deepInclude(yield* go("reverseContinue"), { position: 0, reason: "step" })
      })
    )
  )

  it.live("goes to any visit of a node, and looks values up by paths only", () =>
    on(
      Effect.gen(function* () {
        yield* order("o", "bad", true)
        const { ask, begin, go, raw } = yield* client("o")
        yield* begin
        const { targets } = yield* ask("gotoTargets", {
          source: { path: file },
          line: lineOf("const cents = yield*")
        })
        assert.lengthOf(targets, 1)
        assert.deepInclude(yield* go("goto", { threadId: 1, targetId: targets[0].id }), {
          reason: "goto",
          name: "price [1.0]: completed"
        })
        assert.strictEqual((yield* ask("evaluate", { expression: "input.lines[0].article" })).result, '"pen"')
        assert.strictEqual((yield* ask("evaluate", { expression: "state" })).type, "object")
        const refused = yield* raw("evaluate", { expression: "process.exit(1)" })
        assert.isFalse(refused.success)
        assert.include(refused.message, "executes nothing")
        assert.isFalse((yield* raw("evaluate", { expression: "state.constructor" })).success)
        assert.isFalse((yield* raw("setVariable", {})).success)
      })
    )
  )

  it.live("shows long lists in pieces, and steps through long runs", () =>
    on(
      Effect.gen(function* () {
        const runs = yield* Runs.Runs
        yield* runs.execute(Counter, 3000, { id: "long" })
        const lines = Array.from({ length: 250 }, (_, i) => ({ article: `a${i}`, quantity: 1 }))
        yield* runs.start(Order, { lines, card: "good" }, { id: "o" })
        yield* waiting("o")
        const { begin, go, variables } = yield* client("long")
        yield* begin
        yield* go("restart")
        assert.deepInclude(yield* go("continue"), { name: "the run completed: the run completed" })
        assert.strictEqual((yield* variables("State"))!["count"], "3000")

        const other = yield* client("o")
        yield* other.begin
        const { scopes } = yield* other.ask("scopes", { frameId: 1 })
        const { variables: channels } = yield* other.ask("variables", {
          variablesReference: scopes[0].variablesReference
        })
        const list = channels.find(({ name }: { name: string }) => name === "prices")
        assert.strictEqual(list.indexedVariables, 250)
        const { variables: some } = yield* other.ask("variables", {
          variablesReference: list.variablesReference,
          start: 240,
          count: 5,
          filter: "indexed"
        })
        assert.deepStrictEqual(
          some.map(({ name }: { name: string }) => name),
          ["[240]", "[241]", "[242]", "[243]", "[244]"]
        )
        const { threads } = yield* other.ask("threads")
        assert.lengthOf(threads, 1)
      })
    )
  )

  it("reads paths and nothing else", () => {
    assert.deepStrictEqual(keysOf('a.b[0]["c d"]'), ["a", "b", "0", "c d"])
    for (const other of ["", "f()", "a +1", "a[", "a..b", 'a["b"']) assert.isUndefined(keysOf(other), other)
  })
})
