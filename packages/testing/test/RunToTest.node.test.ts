import { assert, describe, it } from "@effect/vitest"
import * as Runs from "@waymark/core/Runs"
import type { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as FakeTools from "../src/FakeTools.ts"
import * as RunToTest from "../src/RunToTest.ts"
import * as TestRuntime from "../src/TestRuntime.ts"
import * as invoice from "./invoice.ts"
import * as trip from "./trip.ts"
import { executeTests, temporaryFolder } from "./vitestProcess.ts"

const { Invoice, InvoiceHandlers, Mail, MailDown } = invoice
const { Book, Pay, Print, SoldOut, Trip, Visa } = trip

type Services = Runs.Runs | TestRuntime.TestRuntime | Store
const now = 1_767_225_600_000

/** Something to record: it gives the run that a test is to be made of. */
interface Recording {
  readonly modules: RunToTest.Modules
  readonly make: Effect.Effect<string, unknown, Services>
  readonly layer: Layer.Layer<Services, unknown>
}

const invoices = (
  ...replies: readonly [FakeTools.ReplyOf<typeof Mail>, ...Array<FakeTools.ReplyOf<typeof Mail>>]
) =>
  TestRuntime.layer({
    flows: [Invoice],
    handlers: Layer.provide(InvoiceHandlers, FakeTools.make(FakeTools.cycle(Mail, ...replies)).layer),
    now
  })

const trips = (undo: ReadonlyArray<FakeTools.Reply<void, InstanceType<typeof SoldOut>>> = []) => {
  let undone = 0
  const book = FakeTools.answer(Book, ({ city }) =>
    FakeTools.after("3 seconds", FakeTools.succeed({ ticket: `to ${city}`, until: new Date(now) }))
  )
  const tools = FakeTools.make(
    FakeTools.undo(Book, book, () => undo[undone++] ?? FakeTools.ok),
    FakeTools.always(Pay, FakeTools.succeed("receipt-1")),
    FakeTools.refuse(Print)
  )
  return TestRuntime.layer({
    flows: [Trip, Visa],
    handlers: Layer.provide(trip.handlers, tools.layer),
    now
  })
}

const approved = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Invoice, { to: "ada", amount: 5 }, { id: "invoice-1", tags: ["new"] })
  yield* TestRuntime.advanceToWait(run, "approval")
  yield* runs.answer(run, "approval", "yes")
  return run
})

const paid = Effect.gen(function* () {
  const runs = yield* Runs.Runs
  const run = yield* runs.start(Trip, { cities: ["rome", "oslo"], at: new Date(now) }, { id: "trip-1" })
  yield* TestRuntime.advanceToWait(run, "receipt-1")
  return run
})

const down = FakeTools.fail(new MailDown({ host: "mx" }))
const ofInvoice = { modules: { "./invoice.ts": invoice } }
const ofTrip = { modules: { "./trip.ts": trip } }

const recordings: { readonly [name: string]: Recording } = {
  completed: {
    ...ofInvoice,
    layer: invoices(down, FakeTools.after("2 seconds", FakeTools.ok)),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      yield* TestRuntime.advanceToWait(run, "paid", { nth: 2 })
      yield* runs.signal(run, "paid", 5)
      assert.strictEqual(yield* TestRuntime.expectCompleted(run), "paid")
      return run.id
    })
  },
  failed: {
    ...ofInvoice,
    layer: invoices(down),
    make: Effect.gen(function* () {
      const run = yield* approved
      yield* TestRuntime.advanceToEnd(run)
      yield* TestRuntime.expectFailed(run, "MailDown")
      return run.id
    })
  },
  retried: {
    ...ofInvoice,
    layer: invoices(down, down, down, down, FakeTools.ok),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      yield* TestRuntime.advanceToEnd(run)
      yield* runs.retry(run)
      yield* TestRuntime.advanceToWait(run, "paid")
      yield* runs.signal(run, "paid", 5)
      yield* TestRuntime.expectCompleted(run)
      return run.id
    })
  },
  cancelled: {
    ...ofInvoice,
    layer: invoices(FakeTools.ok),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      yield* TestRuntime.advanceToWait(run, "paid", { nth: 2 })
      yield* runs.cancel(run, "she moved\u2028away")
      return run.id
    })
  },
  interrupted: {
    ...ofInvoice,
    layer: invoices(FakeTools.hang),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* approved
      yield* (yield* TestRuntime.TestRuntime).idle
      yield* runs.cancel(run, "it hangs")
      return run.id
    })
  },
  waiting: {
    ...ofInvoice,
    layer: invoices(FakeTools.ok),
    make: Effect.gen(function* () {
      const run = yield* approved
      yield* TestRuntime.advanceToWait(run, "paid", { nth: 2 })
      return run.id
    })
  },
  branches: {
    ...ofTrip,
    layer: trips(),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* paid
      yield* runs.finishJob(run, "receipt-1", { value: { ok: true } })
      yield* (yield* TestRuntime.TestRuntime).idle
      const { runs: children } = yield* runs.list({ parent: run.id })
      yield* runs.answer(children[0]!.run, "stamp", "granted")
      yield* TestRuntime.expectCompleted(run)
      return run.id
    })
  },
  undone: {
    ...ofTrip,
    layer: trips([FakeTools.fail(new SoldOut({ city: "oslo" })), FakeTools.ok, FakeTools.ok]),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* paid
      yield* runs.finishJob(run, "receipt-1", { value: { ok: false } })
      yield* TestRuntime.advanceToEnd(run)
      yield* TestRuntime.expectFailed(run, "SoldOut")
      return run.id
    })
  },
  "job that failed": {
    ...ofTrip,
    layer: trips(),
    make: Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* paid
      yield* runs.finishJob(run, "receipt-1", { failure: "no money" })
      yield* TestRuntime.advanceToEnd(run)
      return run.id
    })
  }
}

const generated = ({ layer, make, modules }: Recording) =>
  Effect.flatMap(make, (run) => RunToTest.generate(run, { modules })).pipe(Effect.provide(layer))

/** A folder with the tests, and with the flows, changed or not. */
const workplace = (
  parent: string,
  name: string,
  texts: ReadonlyMap<string, string>,
  change: (source: string) => string
): void => {
  const folder = join(parent, "test", name)
  mkdirSync(folder, { recursive: true })
  for (const flow of ["invoice.ts", "trip.ts"])
    writeFileSync(join(folder, flow), change(readFileSync(join(import.meta.dirname, flow), "utf8")))
  for (const [file, text] of texts) writeFileSync(join(folder, `${name}-${file}.test.ts`), text)
}

/** Each of these makes the flow do something else, for one of the recordings at least. */
const changes: ReadonlyArray<readonly [from: string, to: string]> = [
  ["pay ${input.amount}", "pay ${input.amount + 1}"],
  ["amount: count * 100", "amount: count * 101"],
  ['return next.end("written off")', 'return next.end("paid")'],
  ["a visa for", "a stamp for"]
]

describe("RunToTest", () => {
  it.live(
    "makes tests that pass, and that fail when the flow does something else",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder("generated")
        const texts = new Map<string, string>()
        for (const [name, recording] of Object.entries(recordings))
          texts.set(name.replaceAll(" ", "-"), yield* generated(recording))
        workplace(folder, "same", texts, (source) => source)
        workplace(folder, "changed", texts, (source) =>
          changes.reduce((text, [from, to]) => text.replaceAll(from, to), source)
        )
        const { exitCode, files: results } = yield* executeTests(folder)
        assert.strictEqual(exitCode, 1)
        assert.strictEqual(results.size, 2 * texts.size)
        for (const name of texts.keys()) {
          const same = results.get(`same-${name}.test.ts`)!
          assert.strictEqual(same.status, "passed", `${name}: ${same.message}\n${texts.get(name)}`)
          const changed = results.get(`changed-${name}.test.ts`)!
          assert.strictEqual(
            changed.status,
            "failed",
            `${name} passes with a changed flow:\n${texts.get(name)}`
          )
        }
      }).pipe(Effect.scoped),
    240_000
  )

  it.live("writes what was done to the run, and what it came to", ({ expect }) =>
    Effect.gen(function* () {
      expect(yield* generated(recordings["branches"]!)).toMatchInlineSnapshot(`
        "import { assert, it } from "@effect/vitest"
        import * as Runs from "@waymark/core/Runs"
        import * as FakeTools from "@waymark/testing/FakeTools"
        import * as TestRuntime from "@waymark/testing/TestRuntime"
        import * as Effect from "effect/Effect"
        import * as Layer from "effect/Layer"
        import * as Schema from "effect/Schema"
        import { Book, Pay, Print, Trip, Visa, handlers } from "./trip.ts"

        it.effect("run trip-1 of flow trip: completed, as recorded", () => {
          const tools = FakeTools.make(
            FakeTools.recorded(Book, [
              {
                input: { city: "rome", at: "2026-01-01T00:00:00.000Z" },
                output: { ticket: "to rome", until: "2026-01-01T00:00:00.000Z" },
                after: "3 seconds"
              },
              {
                input: { city: "oslo", at: "2026-01-01T00:00:00.000Z" },
                output: { ticket: "to oslo", until: "2026-01-01T00:00:00.000Z" },
                after: "3 seconds"
              }
            ]),
            FakeTools.recorded(Pay, [{ input: { amount: 200 }, output: "receipt-1" }]),
            FakeTools.refuse(Print)
          )
          return Effect.gen(function* () {
            const runs = yield* Runs.Runs
            const input = Schema.decodeUnknownSync(Schema.toCodecJson(Trip.input))({
              cities: ["rome", "oslo"],
              at: "2026-01-01T00:00:00.000Z"
            })
            const run = yield* runs.start(Trip, input, { id: "trip-1" })
            yield* TestRuntime.advanceToWait(run, "receipt-1")
            yield* runs.finishJob(run, "receipt-1", { value: { ok: true } })
            yield* TestRuntime.advanceToWait("visa-0d2dd870d1948d76cf702ef2e9cb79c3", "stamp")
            yield* runs.answer("visa-0d2dd870d1948d76cf702ef2e9cb79c3", "stamp", "granted")
            yield* TestRuntime.advanceToEnd(run)
            const output = yield* TestRuntime.expectCompleted(run)
            assert.deepStrictEqual(Schema.encodeUnknownSync(Schema.toCodecJson(Trip.output))(output), {
              tickets: { oslo: "to oslo", rome: "to rome" },
              at: "2026-01-01T00:00:00.000Z",
              visa: "granted"
            })
            tools.expectDone()
          }).pipe(
            Effect.provide(
              TestRuntime.layer({
                flows: [Trip, Visa],
                handlers: Layer.provide(handlers, tools.layer),
                now: 1767225600000
              })
            )
          )
        })
        "
      `)
    })
  )

  describe("refuses", () => {
    const refusal = (recording: Recording, options: Partial<RunToTest.Options> = {}) =>
      Effect.flatMap(recording.make, (run) =>
        Effect.flip(RunToTest.generate(run, { modules: recording.modules, ...options }))
      ).pipe(
        Effect.provide(recording.layer),
        Effect.map(({ message }) => message)
      )

    it.live("a run that is under way, or that somebody paused", () =>
      Effect.gen(function* () {
        const make = (
          then: (run: Runs.Run<typeof Invoice>) => Effect.Effect<unknown, unknown, Services>
        ) => ({
          ...recordings["interrupted"]!,
          make: Effect.gen(function* () {
            const run = yield* approved
            yield* (yield* TestRuntime.TestRuntime).idle
            yield* then(run)
            return run.id
          })
        })
        assert.include(yield* refusal(make(() => Effect.void)), "it has come to no end yet: it is running")
        const paused = make((run) => Effect.flatMap(Runs.Runs, (runs) => runs.pause(run)))
        assert.match(yield* refusal(paused), /it has come to no end yet: it is (running|paused)/)
      })
    )

    it.live("a fork, and a retry with edits", () =>
      Effect.gen(function* () {
        const { layer, make } = recordings["failed"]!
        const fork = Effect.gen(function* () {
          const runs = yield* Runs.Runs
          const run = Runs.ref(Invoice, yield* make)
          const forked = yield* runs.fork(run, 0, { id: "fork" })
          yield* TestRuntime.expectWaiting(forked, "approval")
          return forked.id
        })
        assert.include(yield* refusal({ ...ofInvoice, layer, make: fork }), "it is a fork")
        const edited = Effect.gen(function* () {
          const runs = yield* Runs.Runs
          const run = Runs.ref(Invoice, yield* make)
          yield* runs.retry(run, { edits: { sent: 2 } })
          yield* TestRuntime.advanceToEnd(run)
          return run.id
        })
        assert.match(
          yield* refusal({ ...ofInvoice, layer, make: edited }),
          /it was retried with edits of its state \(event \d+\)/
        )
      })
    )

    it.live("modules that lack what the test needs, or leave open which handlers are meant", () =>
      Effect.gen(function* () {
        const recording = recordings["completed"]!
        const without = (name: string) => {
          const { [name]: _, ...rest } = invoice as { readonly [name: string]: unknown }
          return { modules: { "./invoice.ts": rest } }
        }
        assert.include(
          yield* refusal(recording, without("Invoice")),
          "flow invoice is not exported by any of the modules (./invoice.ts)"
        )
        assert.include(
          yield* refusal(recording, without("Mail")),
          "tool mail, which the run calls, is not exported"
        )
        assert.include(
          yield* refusal(recording, without("InvoiceHandlers")),
          "no layer is exported by any of"
        )
        const two = { modules: { "./invoice.ts": { Invoice, Mail, a: InvoiceHandlers, b: trip.handlers } } }
        assert.include(yield* refusal(recording, two), "it may be a or b: say which, in `handlers`")
        assert.include(yield* refusal(recording, { handlers: ["Other"] }), "layer Other is not exported")
      })
    )

    it.live("secrets", () =>
      Effect.gen(function* () {
        const Login = Tool.make("login", { input: { password: Schema.Redacted(Schema.String) } })
        const modules = { "./invoice.ts": { ...invoice, Login } }
        assert.include(
          yield* refusal(recordings["completed"]!, { modules }),
          "Login holds secrets, which would stand in the test"
        )
      })
    )
  })
})
