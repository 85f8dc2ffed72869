import { assert, describe, it } from "@effect/vitest"
import * as Tool from "@waymark/core/Tool"
import { Visit } from "@waymark/core/Visit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

class Busy extends Schema.TaggedError<Busy>()("Busy", { seconds: Schema.Int }) {}
class Clerk extends Context.Service<Clerk, { readonly name: string }>()("test/Clerk") {}

const Search = Tool.make("search", {
  input: { query: Schema.String },
  output: Schema.Array(Schema.String),
  error: Busy,
  timeout: "10 seconds"
})

const place = { run: "r", flow: "f", branch: "", node: "n", visit: 1, attempt: 1 }

describe("Tool.make", () => {
  it("fills in what is left out", () => {
    const Ping = Tool.make("ping", { input: {} })
    assert.strictEqual(Ping.output, Schema.Void)
    assert.strictEqual(Ping.error, Schema.Never)
    assert.deepInclude(
      { ...Ping },
      { name: "ping", delivery: "atLeastOnce", inDoubt: "pause", timeout: undefined, retry: undefined }
    )
  })

  it("takes the fields of a struct for its input", () => {
    assert.isTrue(Schema.is(Search.input)({ query: "x" }))
    assert.isFalse(Schema.is(Search.input)({ query: 1 }))
  })

  it("knows where it stands in the source", () => {
    assert.match(Search.site()?.file ?? "", /Tool\.test\.ts$/)
    assert.isAbove(Search.site()?.line ?? 0, 10)
  })

  it("says what the compiler would have refused", () => {
    const saying = (options: object): string => {
      try {
        Tool.make("x", { input: {}, ...options })
      } catch (error) {
        return (error as Tool.DefinitionError).message.split("\n").slice(1).join()
      }
      return assert.fail("the definition was accepted")
    }
    assert.strictEqual(
      saying({ delivery: "once" }),
      '- `delivery` is "once"; it must be one of "atLeastOnce", "atMostOnce"'
    )
    assert.strictEqual(
      saying({ inDoubt: "wait" }),
      '- `inDoubt` is "wait"; it must be one of "pause", "fail"'
    )
    const noSchedule = "is not a schedule, such as Schedule.recurs(3) makes"
    assert.strictEqual(saying({ retry: 3 }), `- \`retry\` ${noSchedule}`)
    assert.strictEqual(saying({ compensate: { retry: 3 } }), `- \`compensate.retry\` ${noSchedule}`)
  })

  it("lists what is wrong with it", () => {
    try {
      Tool.make("", { input: { a: Schema.Any }, output: Schema.Unknown, timeout: 0, while: () => true })
    } catch (error) {
      assert.strictEqual(
        (error as Tool.DefinitionError).message,
        [
          'tool "" cannot be defined:',
          '- "" cannot be the name of a tool: it is empty',
          "- input.a is a Schema.Any, so that nothing tells how to store it; describe it, or use Schema.Json",
          "- output is a Schema.Unknown, so that nothing tells how to store it; describe it, or use Schema.Json",
          "- `timeout` must be longer than nothing",
          "- `while` says what to retry, but there is no `retry`"
        ].join("\n")
      )
      return
    }
    assert.fail("the definition was accepted")
  })

  it("asks for schemas, where the compiler was not asked", () => {
    const messageOf = (options: object) => {
      try {
        ;(Tool.make as any)("t", options)
      } catch (error) {
        return (error as Tool.DefinitionError).message
      }
      return ""
    }
    assert.include(messageOf({}), "- `input` is not a schema")
    assert.include(messageOf({ input: { n: Number } }), "- `input.n` is not a schema")
    assert.include(messageOf({ input: {}, output: String }), "- `output` is not a schema")
  })

  it("says whether it needs a codec", () => {
    assert.isFalse(Tool.requiresCodec(Search))
    assert.isTrue(Tool.requiresCodec(Tool.make("login", { input: { key: Schema.Redacted(Schema.String) } })))
  })
})

describe("Tool.call", () => {
  it.effect("asks the visit it is made in", () =>
    Effect.gen(function* () {
      const asked: Array<unknown> = []
      const visit = Visit.of({
        ...place,
        call: (tool, input, options) =>
          Effect.sync(() => {
            asked.push([tool, input, options])
            return ["hit"]
          }),
        tell: () => Effect.die("not asked for"),
        start: () => Effect.die("nothing is started"),
        wait: () => Effect.die("nothing waits")
      })
      const made = Search.call({ query: "x" }, { key: "k" })
      const hits = yield* made.pipe(
        Effect.provideService(Visit, visit),
        Effect.provide(Search.toLayer(() => Effect.succeed([])))
      )
      assert.deepStrictEqual(hits, ["hit"])
      assert.strictEqual(asked.length, 1)
      assert.deepStrictEqual(asked[0], [Search, { query: "x" }, { key: "k" }])
    })
  )
})

describe("Tool.toLayer", () => {
  const key = Tool.handlerKey("search")

  it.effect("provides the handler together with what was there when the layer was built", () =>
    Effect.gen(function* () {
      const layer = Search.toLayer(
        Effect.fnUntraced(function* ({ query }) {
          const { key: idempotencyKey } = yield* Tool.Invocation
          return [query, idempotencyKey, (yield* Clerk).name]
        })
      )
      const service = yield* Effect.provide(
        key,
        layer.pipe(Layer.provide(Layer.succeed(Clerk, { name: "c" })))
      )
      assert.strictEqual(service.tool, Search)
      const invocation = { ...place, key: "k", repeated: false }
      const answer = yield* service
        .handler({ query: "q" })
        .pipe(
          Effect.provideContext(Context.add(service.context, Tool.Invocation, Tool.Invocation.of(invocation)))
        )
      assert.deepStrictEqual(answer, ["q", "k", "c"])
    })
  )

  it.effect("takes an effect that makes the handler, and passes on its failure", () =>
    Effect.gen(function* () {
      const service = yield* Effect.provide(
        key,
        Search.toLayer(Effect.succeed(({ query }) => Effect.succeed([query])))
      )
      assert.deepStrictEqual(yield* service.handler({ query: "q" }), ["q"])
      const error = yield* Effect.flip(
        Effect.provide(key, Search.toLayer(Effect.fail(new Busy({ seconds: 1 }))))
      )
      assert.strictEqual(error._tag, "Busy")
    })
  )
})
