import { assert, describe, it } from "@effect/vitest"
import type * as Flow from "@waymark/core/Flow"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FakeTools from "../src/FakeTools.ts"
import * as RecordedStore from "../src/RecordedStore.ts"
import * as ReplaySuite from "../src/ReplaySuite.ts"
import * as TestRuntime from "../src/TestRuntime.ts"
import { approve, Invoice, InvoiceHandlers, Mail, wasPaid } from "./invoice.ts"

const runtime = TestRuntime.layer({
  flows: [Invoice],
  handlers: Layer.provide(InvoiceHandlers, FakeTools.make(FakeTools.always(Mail, FakeTools.ok)).layer)
})

/** A run that was reminded, and has paid or waits. */
const recording = (pays: boolean) =>
  Effect.gen(function* () {
    const runs = yield* Runs.Runs
    const run = yield* runs.start(Invoice, { to: "ada", amount: 5 }, { id: "invoice-1" })
    yield* TestRuntime.expectWaiting(run, "approval")
    yield* runs.answer(run, "approval", "yes")
    yield* TestRuntime.advanceToWait(run, "paid", { nth: 2 })
    if (pays) {
      yield* runs.signal(run, "paid", 5)
      yield* TestRuntime.expectCompleted(run)
    }
    return yield* RecordedStore.record("invoice-1")
  }).pipe(Effect.provide(runtime))

const against = { flows: [Invoice], handlers: InvoiceHandlers } as const

/** The same flow, with something about it changed. */
const changed = (change: (flow: typeof Invoice) => object) => {
  const flow = Object.assign(Object.create(Invoice), change(Invoice)) as typeof Invoice
  return flow
}

describe("ReplaySuite", () => {
  it.live("finds that a run does what it did, ended or not", () =>
    Effect.gen(function* () {
      for (const pays of [true, false]) {
        const findings = yield* ReplaySuite.check(yield* recording(pays), against)
        assert.deepStrictEqual(findings, [
          { run: "invoice-1", flow: "invoice", verdict: "same", detail: "", visits: pays ? 5 : 4 }
        ])
      }
    })
  )

  it.live("says where a handler does something else, what it did, and what it does now", () =>
    Effect.gen(function* () {
      const handlers = Invoice.toLayer({
        approve,
        send: Effect.fnUntraced(function* ({ input, next }) {
          yield* Mail.call({ to: input.to, text: `pay ${input.amount}` })
          return next.to("watch", { sent: 1 })
        }),
        watch: ({ next }) => Effect.as(wasPaid, next.end("paid"))
      })
      const [finding] = yield* ReplaySuite.check(yield* recording(true), { flows: [Invoice], handlers })
      assert.strictEqual(finding?.verdict, "diverges")
      const lines = finding!.detail.split("\n")
      assert.strictEqual(lines[0], "visit 2 of node send does something else than it did (event 5)")
      assert.match(lines[1]!, /^ {2}recorded: {"tool":"mail",.*"input":{"to":"ada","text":"please pay 5"}}$/)
      assert.match(lines[2]!, /^ {2}now: {6}{"tool":"mail",.*"input":{"to":"ada","text":"pay 5"}}$/)
      assert.strictEqual(lines[3], '  input.text: "please pay 5" was expected, it is "pay 5"')
      assert.include(finding!.detail, "it had done, up to there:\n")
      assert.include(finding!.detail, '  send calls mail {"to":"ada","text":"please pay 5"}')
    })
  )

  it.live("tells the first three places where handlers do something else, and whether there are more", () =>
    Effect.gen(function* () {
      const lines = yield* recording(true)
      const told = (asks: boolean) => {
        const handlers = Invoice.toLayer({
          approve: asks ? approve : ({ next }) => Effect.succeed(next.to("send")),
          // It comes to the same, but sends nothing.
          send: ({ next }) => Effect.succeed(next.to("watch", { sent: 1 })),
          watch: ({ next }) =>
            Effect.map(wasPaid, (paid) => (paid ? next.end("written off") : next.to("send")))
        })
        return Effect.map(ReplaySuite.check(lines, { flows: [Invoice], handlers }), ([finding]) => {
          assert.strictEqual(finding?.verdict, "diverges")
          return finding!.detail.split("\n").filter((line) => !line.startsWith(" "))
        })
      }
      const places = [
        "visit 2 of node send does something else than it did (event 5)",
        "it had done, up to there:",
        "visit 4 of node send does something else than it did (event 12)",
        "visit 5 of node watch does something else than it did (event 18)"
      ]
      assert.deepStrictEqual(yield* told(true), places)
      assert.deepStrictEqual(yield* told(false), [
        "visit 1 of node approve does something else than it did (event 1)",
        places[1],
        places[0],
        places[2],
        "and there is more that is not as recorded"
      ])
    })
  )

  it.live("finds a run under way that could not go on", () =>
    Effect.gen(function* () {
      const newer = changed(() => ({ version: 2 }))
      const [finding] = yield* ReplaySuite.check(yield* recording(false), {
        flows: [newer],
        handlers: InvoiceHandlers
      })
      assert.strictEqual(finding?.verdict, "stuck")
      assert.include(finding!.detail, "it could not go on: ")
    })
  )

  it.live("does not replay what ended under another version, and says so", () =>
    Effect.gen(function* () {
      const newer = changed(() => ({ version: 2 }))
      const findings = yield* ReplaySuite.check(yield* recording(true), {
        flows: [newer],
        handlers: InvoiceHandlers
      })
      assert.deepInclude(findings[0], {
        verdict: "outdated",
        detail: "it ended under version 1; the flow is at version 2"
      })
    })
  )

  it.live("finds a journal that was changed, one that is none, and one of a flow that is gone", () =>
    Effect.gen(function* () {
      const lines = yield* recording(true)
      const verdict = (given: ReadonlyArray<string>, flows: ReadonlyArray<Flow.Any> = [Invoice]) =>
        Effect.map(
          ReplaySuite.check(given, { flows, handlers: InvoiceHandlers as never }),
          ([finding]) => finding
        )
      const cheap = lines.map((line) => line.replace('"amount":5', '"amount":4'))
      assert.deepInclude(yield* verdict(cheap), { verdict: "broken", run: "invoice-1" })
      assert.deepInclude(yield* verdict([...lines.slice(0, 3), "{}"]), { verdict: "broken" })
      const gone = yield* verdict(lines, [changed(() => ({ id: "other" }))])
      assert.deepInclude(gone, {
        verdict: "unknown",
        detail: "there is no such flow among those to replay against (other)"
      })
    })
  )
})

describe("recording into a folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "waymark-journals-"))

  it.live("writes a run once, and never over a file that is there", () =>
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const lines = yield* recording(true)
      const store = yield* RecordedStore.make(lines)
      const record = (options: { readonly name?: string } = {}) =>
        Effect.provideService(ReplaySuite.record("invoice-1", { folder, ...options }), Store, store)
      const path = yield* record()
      assert.strictEqual(path, join(folder, "invoice-1.jsonl"))
      assert.strictEqual(readFileSync(path, "utf8"), `${lines.join("\n")}\n`)
      writeFileSync(path, "mine")
      const refused = yield* Effect.flip(record())
      assert.strictEqual(refused._tag, "InvalidFolder")
      assert.include(refused.message, "EEXIST")
      assert.strictEqual(readFileSync(path, "utf8"), "mine")
      assert.strictEqual(yield* record({ name: "reminded" }), join(folder, "reminded.jsonl"))
    }).pipe(Effect.scoped)
  )

  it("refuses a folder without journals", () => {
    assert.throws(
      () => ReplaySuite.suite({ ...against, folder: join(tmpdir(), "waymark-nowhere") }),
      /has no \*\.jsonl; write one with ReplaySuite.record/
    )
  })
})

ReplaySuite.suite({ ...against, folder: new URL("./journals", import.meta.url) })
