import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Worker from "@waymark/core/Worker"

const One = Flow.make("one", {
  input: Schema.Struct({}),
  start: "a",
  nodes: { a: Node.make({ to: ["end"] }) }
})

type Options = Omit<Worker.Options<[]>, "flows">

const build = (options: Options) =>
  Effect.scoped(
    Layer.build(
      Worker.layer({ flows: [One], ...options }).pipe(
        Layer.provide(One.toLayer({ a: ({ next }) => Effect.succeed(next.end()) })),
        Layer.provide(MemoryStore.layer())
      )
    )
  )

const refusal = (options: Options) => Effect.map(Effect.flip(build(options)), ({ message }) => message)

describe("the options of a worker", () => {
  const wrong: ReadonlyArray<readonly [Options, string]> = [
    [{ concurrency: 0 }, "`concurrency` is 0; it must be a whole number from 1"],
    [{ concurrency: 1.5 }, "`concurrency` is 1.5; it must be a whole number from 1"],
    [{ sweep: 0 }, "`sweep` is 0; it must be a duration of at least 1 ms"],
    [{ sweep: "-1 seconds" }, '`sweep` is "-1 seconds"; it must be a duration of at least 1 ms'],
    [{ sweep: Number.NaN }, "`sweep` is NaN; it must be a duration of at least 1 ms"],
    [{ sweep: "junk" as "1 second" }, '`sweep` is "junk"; it must be a duration of at least 1 ms'],
    [{ timers: Duration.zero }, "`timers` is 0 millis; it must be a duration of at least 1 ms"],
    [{ timers: { microseconds: 5 } }, "`timers` is 5000 nanos; it must be a duration of at least 1 ms"],
    [{ grace: -1 }, "`grace` is -1; it must be a duration of at least 0 ms"],
    [{ keepWaiting: Number.NaN }, "`keepWaiting` is NaN; it must be a duration of at least 0 ms"],
    [{ drainTimeout: Duration.negativeInfinity }, "`drainTimeout` is -Infinity; it must be a duration"]
  ]
  it.effect.each(wrong)("are refused if nothing can work by them: %o", ([options, message]) =>
    Effect.map(refusal(options), (refused) => assert.include(refused, message))
  )

  it.effect("are refused all at once", () =>
    Effect.map(refusal({ concurrency: -1, grace: Number.NaN, sweep: 0 }), (message) =>
      assert.strictEqual(
        message,
        [
          "`concurrency` is -1; it must be a whole number from 1, or nothing would be executed",
          "`sweep` is 0; it must be a duration of at least 1 ms",
          "`grace` is NaN; it must be a duration of at least 0 ms"
        ].join("\n")
      )
    )
  )

  it.effect("may put off for ever what is only looked for in addition", () =>
    build({
      concurrency: 1,
      drainTimeout: 0,
      grace: Number.POSITIVE_INFINITY,
      keepWaiting: Duration.infinity,
      sweep: Duration.infinity,
      timers: "Infinity"
    })
  )
})
