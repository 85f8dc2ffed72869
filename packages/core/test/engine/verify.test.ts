import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { genesis, parse } from "@waymark/core/Journal"
import type { Entry } from "@waymark/core/Journal"
import * as Runs from "@waymark/core/Runs"
import { Echo, oneNode, program } from "./oneNode.ts"
import { machine, type StoreService } from "./process.ts"

const live = program(
  ({ next, state }) =>
    Effect.gen(function* () {
      const got = yield* Effect.orDie(Echo.call({ text: `${state.got.length}` }))
      return state.got.length === 3 ? next.end(state.got) : next.to("work", { got: [got] })
    }),
  Echo.toLayer(({ text }) => Effect.succeed(text))
)

/** A run, and a way to read its journal as if somebody had changed what is stored. */
const ran = Effect.gen(function* () {
  const computer = machine()
  const { runs, stop } = yield* computer.boot(live)
  const run = yield* runs.start(oneNode, {}, { id: "r" })
  yield* runs.await(run)
  yield* stop
  const tampered = (change: (lines: Array<string>) => Array<string>) =>
    Effect.gen(function* () {
      const wrap = (store: StoreService): StoreService => ({
        ...store,
        read: (id, options) =>
          Effect.gen(function* () {
            if (id !== "r") return yield* store.read(id, options)
            const lines = change((yield* store.read(id)).map(({ line }) => line))
            const entries: Array<Entry> = []
            for (const line of lines) {
              const parsed = parse(line)
              entries.push(
                Result.isSuccess(parsed)
                  ? parsed.success
                  : ({ event: { run: "r" }, line } as unknown as Entry)
              )
            }
            const from = options?.from ?? 0
            return entries.slice(
              from,
              Math.min(options?.to ?? Infinity, from + (options?.limit ?? 1000) - 1) + 1
            )
          })
      })
      return yield* computer.boot(live, { wrap })
    })
  return { ...computer, run, runs, tampered }
})

describe("verifying a run", () => {
  it.effect("says what was verified, from which anchor to which head", () =>
    Effect.gen(function* () {
      const { boot, journal } = yield* ran
      const { runs, store } = yield* boot(live)
      const { head } = yield* store.get("r")
      const events = yield* journal("r")
      assert.deepStrictEqual(yield* Effect.provideService(Runs.verify("r"), Runs.Runs, runs), {
        run: "r",
        from: 0,
        to: events.length - 1,
        anchor: genesis,
        head: head.hash
      })
      assert.deepStrictEqual(yield* Effect.provideService(Runs.verify("r", { from: 5 }), Runs.Runs, runs), {
        run: "r",
        from: 5,
        to: events.length - 1,
        anchor: events[5]!.prev,
        head: head.hash
      })
      for (const from of [events.length, -1, 0.5, Number.NaN]) {
        assert.strictEqual(
          (yield* Effect.flip(Effect.provideService(Runs.verify("r", { from }), Runs.Runs, runs)))._tag,
          "InvalidCheckpoint"
        )
      }
      assert.strictEqual(
        (yield* Effect.flip(Effect.provideService(Runs.verify("nope"), Runs.Runs, runs)))._tag,
        "RunNotFound"
      )
    })
  )

  it.effect("anchors a fork in its origin", () =>
    Effect.gen(function* () {
      const { boot, journal, run } = yield* ran
      const { runs } = yield* boot(live)
      const fork = yield* runs.fork(run, 4)
      yield* runs.await(fork)
      const verified = yield* Effect.provideService(Runs.verify(fork), Runs.Runs, runs)
      const events = yield* journal("r")
      assert.strictEqual(verified.anchor, events[5]!.prev)
    })
  )

  it.effect(
    "compares with a head known from elsewhere, at the end, in the middle, and before the beginning",
    () =>
      Effect.gen(function* () {
        const { boot, journal } = yield* ran
        const { runs, store } = yield* boot(live)
        const { head } = yield* store.get("r")
        const events = yield* journal("r")
        const middle = { seq: 5, hash: events[6]!.prev }
        yield* Effect.provideService(Runs.verify("r", { expect: head }), Runs.Runs, runs)
        yield* Effect.provideService(Runs.verify("r", { expect: middle }), Runs.Runs, runs)
        yield* Effect.provideService(Runs.verify("r", { from: 6, expect: middle }), Runs.Runs, runs)
        const wrong: ReadonlyArray<Runs.VerifyOptions> = [
          { expect: { ...head, hash: middle.hash } },
          { expect: { ...middle, hash: head.hash } },
          { expect: { seq: head.seq + 1, hash: head.hash } },
          { from: 6, expect: { ...middle, hash: head.hash } }
        ]
        for (const options of wrong) {
          assert.strictEqual(
            (yield* Effect.flip(Effect.provideService(Runs.verify("r", options), Runs.Runs, runs)))._tag,
            "ChainBroken"
          )
        }
        assert.strictEqual(
          (yield* Effect.flip(
            Effect.provideService(Runs.verify("r", { from: 7, expect: middle }), Runs.Runs, runs)
          ))._tag,
          "InvalidCheckpoint"
        )
      })
  )

  const position = (error: { readonly _tag: string }): number => {
    assert.strictEqual(error._tag, "ChainBroken")
    return (error as { readonly _tag: string; readonly seq: number }).seq
  }

  const found = (change: (lines: Array<string>) => Array<string>) =>
    Effect.gen(function* () {
      const { tampered } = yield* ran
      const { runs }: { readonly runs: Runs.Runs["Service"] } = yield* tampered(change)
      return position(yield* Effect.flip(Effect.provideService(Runs.verify("r"), Runs.Runs, runs)))
    })

  it.effect("finds an altered entry, wherever it is", () =>
    Effect.gen(function* () {
      const { journal } = yield* ran
      const { length } = yield* journal("r")
      for (let i = 0; i < length; i++) {
        const at = yield* found((lines) =>
          lines.map((line, seq) => (seq === i ? line.replace(/"time":\d+/, '"time":1') : line))
        )
        assert.isTrue(at === i || at === i + 1, `entry ${i} was altered, ${at} was found`)
      }
    })
  )

  it.effect("finds a dropped, a repeated, a swapped, a foreign and an unreadable entry", () =>
    Effect.gen(function* () {
      // The position that is named is the one that was expected, or the one that stands there.
      assert.oneOf(yield* found((lines) => lines.toSpliced(5, 1)), [5, 6])
      assert.oneOf(yield* found((lines) => lines.toSpliced(5, 0, lines[4]!)), [4, 5])
      assert.oneOf(yield* found((lines) => lines.with(4, lines[5]!).with(5, lines[4]!)), [4, 5])
      assert.strictEqual(
        yield* found((lines) => lines.with(4, lines[4]!.replace('"run":"r"', '"run":"x"'))),
        4
      )
      assert.strictEqual(yield* found((lines) => lines.with(4, lines[4]!.slice(1))), 4)
      assert.strictEqual(yield* found((lines) => lines.with(4, "")), 4)
    })
  )

  it.effect("finds a cut tail, since the index knows the head", () =>
    Effect.gen(function* () {
      const { journal } = yield* ran
      const { length } = yield* journal("r")
      assert.strictEqual(yield* found((lines) => lines.slice(0, -1)), length - 1)
      assert.isAtLeast(yield* found(() => []), 0)
    })
  )
})
