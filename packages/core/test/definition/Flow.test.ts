import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"

class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}

const end = Node.make({ to: ["end"] })

/** Definitions that the compiler would not let through. */
const make: (id: string, options: unknown) => Flow.Any = Flow.make as never
const node: (options: unknown) => Node.Any = Node.make as never

const failure = (define: () => unknown): Flow.DefinitionError => {
  try {
    define()
  } catch (error) {
    assert.strictEqual((error as Flow.DefinitionError)._tag, "DefinitionError")
    return error as Flow.DefinitionError
  }
  return assert.fail("the definition was accepted")
}

const problems = (define: () => unknown) => failure(define).problems

describe("Flow.make", () => {
  it("fills in what is left out", () => {
    const flow = Flow.make("least", { input: Schema.Void, start: "only", nodes: { only: end } })
    assert.deepInclude(
      { ...flow },
      {
        id: "least",
        version: 1,
        durability: "pipelined",
        maxSteps: 10_000,
        maxRecoveries: 10,
        startNode: "only"
      }
    )
    assert.deepStrictEqual(flow.state, {})
    assert.strictEqual(flow.output, Schema.Void)
    assert.strictEqual(flow.error, Schema.Never)
  })

  it("knows where it stands in the source", () => {
    const flow = Flow.make("here", { input: Schema.Void, start: "only", nodes: { only: end } })
    const site = flow.site()
    assert.match(site?.file ?? "", /Flow\.test\.ts$/)
    assert.isAbove(site?.line ?? 0, 40)
  })

  it("says what the compiler would have refused", () => {
    const base = { input: Schema.Void, start: "only", nodes: { only: end } }
    const saying = (options: unknown, id: unknown = "x") =>
      failure(() => make(id as string, { ...base, ...(options as object) })).problems.map((problem) =>
        "option" in problem && "detail" in problem ? `${problem.option} ${problem.detail}` : problem
      )
    assert.deepStrictEqual(saying({ start: undefined }), [
      "start is missing; name the node that runs begin with"
    ])
    assert.deepStrictEqual(saying({ nodes: null }), [
      "nodes is missing; give an object of what Node.make makes"
    ])
    assert.deepStrictEqual(saying({}, 7), ["id is not a text"])
    assert.deepStrictEqual(saying({ durability: "strcit" }), [
      'durability is "strcit"; it must be one of "pipelined", "strict", "ephemeral"'
    ])
    assert.deepStrictEqual(saying({ onExceeded: "stop" }), [
      'onExceeded is "stop"; it must be one of "pause", "fail"'
    ])
    const noSchedule = "is not a schedule, such as Schedule.recurs(3) makes"
    const only = node({ to: ["end"], retry: 3, onExceeded: null })
    assert.deepStrictEqual(saying({ nodes: { only } }), [`retry ${noSchedule}`])
    assert.deepStrictEqual(saying({ restart: { max: 1, schedule: "1 second" } }), [
      `restart.schedule ${noSchedule}`
    ])
    assert.deepStrictEqual(saying({ error: Rejected, restart: { max: 1, fatal: ["Rejected", "Nope"] } }), [
      'restart.fatal names the error "Nope", but the flow\'s errors are "Rejected", "NodeTimeout"'
    ])
    make("x", { ...base, restart: { max: 1, fatal: ["NodeTimeout"] } })
    // Nobody knows all of its errors.
    make("x", { ...base, error: Schema.Json, restart: { max: 1, fatal: ["Nope"] } })
  })

  it("names the start that is not a node", () => {
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, start: "z", nodes: { a: end } })),
      [{ _tag: "UnknownStart", start: "z", nodes: ["a"] }]
    )
  })

  it("names each target that is not a node, by option", () => {
    const a = node({
      to: ["b", "end"],
      error: SearchFailed,
      onError: { SearchFailed: Node.skip("c") },
      onDefect: "d",
      fanOut: { to: ["e"], join: "f" }
    })
    const found = problems(() => make("x", { input: Schema.Void, start: "a", nodes: { a } }))
    assert.deepStrictEqual(
      found.map((problem) => (problem._tag === "UnknownTarget" ? `${problem.option} ${problem.target}` : "")),
      ["to b", "onError.SearchFailed c", "onDefect d", "fanOut.join f", "fanOut.to e"]
    )
  })

  it("names nodes that cannot be reached", () => {
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, start: "a", nodes: { a: end, b: end, c: end } })),
      [
        { _tag: "Unreachable", node: "b", start: "a" },
        { _tag: "Unreachable", node: "c", start: "a" }
      ]
    )
  })

  it("names nodes that cannot reach the end", () => {
    const nodes = {
      a: Node.make({ to: ["b", "end"] }),
      b: Node.make({ to: ["c"] }),
      c: Node.make({ to: ["b"] })
    }
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, start: "a", nodes })),
      [
        { _tag: "DeadEnd", node: "b" },
        { _tag: "DeadEnd", node: "c" }
      ]
    )
  })

  it("counts error routes, defect routes and fan-outs as ways on", () => {
    const flow = make("x", {
      input: Schema.Void,
      start: "a",
      nodes: {
        a: Node.make({
          to: ["merge"],
          error: SearchFailed,
          onError: { SearchFailed: "failed" },
          onDefect: Node.tolerate("broken"),
          fanOut: { to: ["branch"], join: "merge" }
        }),
        failed: end,
        broken: end,
        branch: Node.make({ to: ["merge"] }),
        merge: end
      }
    })
    assert.hasAllKeys(flow.nodes, ["a", "failed", "broken", "branch", "merge"])
  })

  it("asks for a target, and for one that is not ambiguous", () => {
    const nodes = {
      a: node({ to: ["b", "end"], error: SearchFailed, onError: { SearchFailed: Node.skip() } }),
      b: node({ to: [] })
    }
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, start: "a", nodes })),
      [
        { _tag: "AmbiguousTarget", node: "a", option: "onError.SearchFailed", targets: ["b", "end"] },
        { _tag: "NoTarget", node: "b" }
      ]
    )
  })

  it("lets no error end a flow that has an output", () => {
    const nodes = { a: node({ to: ["end"], error: SearchFailed, onError: { SearchFailed: Node.skip() } }) }
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, output: Schema.String, start: "a", nodes })),
      [{ _tag: "EndWithoutOutput", node: "a", option: "onError.SearchFailed" }]
    )
    assert.strictEqual(make("x", { input: Schema.Void, start: "a", nodes }).startNode, "a")
  })

  it("refuses empty and reserved names", () => {
    const nodes = { a: Node.make({ to: ["", "__proto__", "end"] }), "": end, ["__proto__"]: end }
    const found = problems(() =>
      make("", { input: Schema.Void, state: { "": State.counter() }, start: "a", nodes })
    )
    assert.deepStrictEqual(
      found.map((problem) => (problem._tag === "InvalidName" ? `${problem.what} ${problem.name}` : "")),
      ["flow ", "node ", "node __proto__", "channel "]
    )
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, start: "end", nodes: { end } })).map(({ _tag }) => _tag),
      ["InvalidName"]
    )
  })

  it("refuses limits and policies that make no sense", () => {
    const nodes = {
      a: node({ to: ["end"], timeout: 0, fanOut: { to: [], join: "a" } }),
      b: node({ to: ["end"], error: Rejected, onError: { Rejected: "a" }, while: () => true })
    }
    const found = problems(() =>
      make("x", { input: Schema.Void, version: 0, maxSteps: 1.5, maxRecoveries: -1, start: "b", nodes })
    )
    assert.deepStrictEqual(
      found.map((problem) => (problem._tag === "InvalidOption" ? [problem.node, problem.option] : [])),
      [
        [undefined, "version"],
        [undefined, "maxSteps"],
        [undefined, "maxRecoveries"],
        ["a", "timeout"],
        ["a", "fanOut.to"],
        ["b", "while"]
      ]
    )
  })

  it("names errors that are neither routed nor declared, and routes of unknown errors", () => {
    const a = node({
      to: ["end"],
      error: Schema.Union([SearchFailed, Rejected]),
      onError: { Rejected: Node.stop, Nope: "a", NodeTimeout: "a" }
    })
    assert.deepStrictEqual(
      problems(() => make("x", { input: Schema.Void, start: "a", nodes: { a } })),
      [
        { _tag: "UnknownErrorTag", node: "a", tag: "Nope", tags: ["SearchFailed", "Rejected"] },
        { _tag: "UnknownErrorTag", node: "a", tag: "NodeTimeout", tags: ["SearchFailed", "Rejected"] },
        { _tag: "UnroutedError", node: "a", tag: "SearchFailed" },
        { _tag: "UnroutedError", node: "a", tag: "Rejected" }
      ]
    )
    const b = node({ to: ["end"], timeout: "1 second", error: Rejected, onError: { NodeTimeout: "b" } })
    assert.strictEqual(
      make("x", { input: Schema.Void, error: Rejected, start: "b", nodes: { b } }).nodes["b"],
      b
    )
  })

  it("names every place in a schema that a journal cannot hold", () => {
    const found = problems(() =>
      make("x", {
        input: Schema.Struct({ a: Schema.Struct({ b: Schema.Any }) }),
        output: Schema.Array(Schema.Unknown),
        error: Schema.TaggedStruct("E", { of: Schema.instanceOf(Map) }),
        state: { c: State.record(Schema.Unknown) },
        start: "a",
        nodes: { a: node({ to: ["end"], error: Schema.TaggedStruct("E", { cause: Schema.Any }) }) }
      })
    )
    assert.deepStrictEqual(
      found.map((problem) => ("path" in problem ? `${problem._tag} ${problem.path} ${problem.schema}` : "")),
      [
        "OpaqueSchema input.a.b Any",
        "OpaqueSchema output[] Unknown",
        "NoJsonForm error.of a declared type",
        "OpaqueSchema state.c Unknown",
        "OpaqueSchema nodes.a.error.cause Any"
      ]
    )
  })

  it("takes the fields of a struct for its input", () => {
    const fields = { n: Schema.Int }
    const short = make("x", { input: fields, start: "a", nodes: { a: end } })
    const long = make("x", { input: Schema.Struct(fields), start: "a", nodes: { a: end } })
    assert.isTrue(Schema.is(short.input)({ n: 1 }))
    assert.isFalse(Schema.is(short.input)({ n: "1" }))
    assert.strictEqual(short.fingerprint, long.fingerprint)
  })

  it("names every part that is not what it should be, where the compiler was not asked", () => {
    const problemsOf = (options: object) => {
      try {
        ;(Flow.make as any)("f", {
          input: Schema.Void,
          start: "a",
          nodes: { a: Node.make({ to: ["end"] }) },
          ...options
        })
      } catch (error) {
        return (error as Flow.DefinitionError).message.split("\n").slice(1)
      }
      return []
    }
    const noSchema =
      "is not a schema, such as Schema.String, Schema.Struct({ … }), or Schema.Void for nothing"
    assert.deepStrictEqual(problemsOf({}), [])
    assert.deepStrictEqual(problemsOf({ input: undefined }), [`- \`input\` ${noSchema}`])
    assert.deepStrictEqual(problemsOf({ input: { n: Number } }), [`- \`input.n\` ${noSchema}`])
    assert.deepStrictEqual(problemsOf({ output: { n: Schema.Int } }), [`- \`output\` ${noSchema}`])
    assert.deepStrictEqual(problemsOf({ input: Schema.Struct({ n: Number as any }) }), [
      `- \`input.n\` ${noSchema}`
    ])
    assert.deepStrictEqual(problemsOf({ state: { n: Schema.Int } }), [
      "- `state.n` is not a channel; give what State.value, State.list or another function of State makes"
    ])
    assert.deepStrictEqual(problemsOf({ nodes: { a: { to: ["end"] } } }), [
      "- `nodes.a` is not a node; give what Node.make makes"
    ])
    assert.deepStrictEqual(problemsOf({ nodes: undefined }), [
      "- `nodes` is missing; give an object of what Node.make makes"
    ])
  })

  it("checks that initial values fit their schemas", () => {
    const state = {
      a: State.value(Schema.Int, 1.5),
      b: State.counter(Number.NaN),
      c: State.value(Schema.Int, 1)
    }
    const found = problems(() => make("x", { input: Schema.Void, state, start: "a", nodes: { a: end } }))
    assert.deepStrictEqual(
      found.map((problem) => (problem._tag === "InvalidInitial" ? problem.channel : "")),
      ["a", "b"]
    )
  })

  it("names channels whose updates could not be told from none", () => {
    const maybe = Schema.UndefinedOr(Schema.String)
    const last = Reducer.make<string | undefined>((_, next) => next, undefined)
    const state = {
      maybe: State.value(maybe, "a"),
      last: State.reduce(maybe, last),
      kept: State.optional(Schema.String)
    }
    const found = problems(() => make("x", { input: Schema.Void, state, start: "a", nodes: { a: end } }))
    assert.deepStrictEqual(
      found.map((problem) => (problem._tag === "InvalidOption" ? problem.option : problem._tag)),
      ["state.maybe", "state.last"]
    )
  })

  it("says in one error what is wrong, where, and what to do", () => {
    const error = failure(() =>
      make("x", {
        input: Schema.Any,
        start: "z",
        nodes: { a: Node.make({ to: ["b"] }) }
      })
    )
    assert.strictEqual(
      error.message,
      [
        'flow "x" cannot be defined:',
        "- input is a Schema.Any, so that nothing tells how to store it; describe it, or use Schema.Json",
        '- `start` names "z", which is not a node; the nodes are "a"',
        '- node "a": `to` names "b", which is not a node; the nodes are "a"'
      ].join("\n")
    )
  })
})

describe("Flow.requiresCodec", () => {
  const withInput = (input: Schema.Codec<any, any>) =>
    Flow.requiresCodec(Flow.make("x", { input, start: "a", nodes: { a: end } }))

  it("finds secrets anywhere in the schemas", () => {
    assert.isFalse(withInput(Schema.Struct({ a: Schema.String })))
    assert.isTrue(withInput(Schema.Struct({ a: Schema.Array(Schema.Redacted(Schema.String)) })))
    assert.isTrue(withInput(Schema.RedactedFromValue(Schema.String)))
    const inState = Flow.make("x", {
      input: Schema.Void,
      state: { key: State.optional(Schema.Redacted(Schema.String)) },
      start: "a",
      nodes: { a: end }
    })
    assert.isTrue(Flow.requiresCodec(inState))
  })
})

describe("Flow.toLayer", () => {
  class Clerk extends Context.Service<Clerk, { readonly name: string }>()("test/Clerk") {}
  const Find = Tool.make("find", { input: { query: Schema.String } })
  const Least = Flow.make("least", { input: Schema.Void, start: "only", nodes: { only: end } })
  const key = Flow.handlersKey("least")

  it.effect("provides the handlers together with what was there when the layer was built", () =>
    Effect.gen(function* () {
      const layer = Least.toLayer({
        only: Effect.fnUntraced(function* ({ next }) {
          yield* Find.call({ query: (yield* Clerk).name })
          return next.end()
        })
      })
      const findLayer = Find.toLayer(() => Effect.void)
      const service = yield* Effect.provide(
        key,
        layer.pipe(Layer.provide([findLayer, Layer.succeed(Clerk, { name: "c" })]))
      )
      assert.strictEqual(service.flow, Least)
      assert.hasAllKeys(service.handlers, ["only"])
      assert.strictEqual(Context.get(service.context, Clerk).name, "c")
      assert.strictEqual(Context.get(service.context, Tool.handlerKey("find")).tool, Find)
    })
  )

  it.effect("takes an effect that makes the handlers", () =>
    Effect.gen(function* () {
      let made = 0
      const layer = Least.toLayer(
        Effect.sync(() => {
          made += 1
          return { only: ({ next }) => Effect.succeed(next.end()) }
        })
      )
      const service = yield* Effect.provide(key, layer)
      assert.strictEqual(made, 1)
      assert.hasAllKeys(service.handlers, ["only"])
    })
  )

  it.effect("names handlers that are missing or too many", () =>
    Effect.gen(function* () {
      const toLayer: (handlers: unknown) => Layer.Layer<Flow.Handlers<"least">> = Least.toLayer.bind(
        Least
      ) as never
      const exit = yield* Effect.exit(Effect.provide(key, toLayer({ ony: () => Effect.void })))
      if (Exit.isSuccess(exit)) return assert.fail("the handlers were accepted")
      const reason = exit.cause.reasons[0]
      const error = (reason?._tag === "Die" ? reason.defect : undefined) as Flow.DefinitionError
      assert.strictEqual(error._tag, "DefinitionError")
      assert.deepStrictEqual(error.problems, [
        { _tag: "MissingHandler", node: "only" },
        { _tag: "UnknownHandler", node: "ony", nodes: ["only"] }
      ])
    })
  )
})

describe("Node.make", () => {
  it("turns routes into their plain form", () => {
    const a = Node.make({
      to: ["b", "b"],
      error: Schema.Union([SearchFailed, Rejected]),
      onError: { SearchFailed: Node.skip(), Rejected: Node.tolerate("c") },
      onDefect: Node.stop,
      retry: Schedule.recurs(1),
      timeout: "2 seconds"
    })
    assert.deepStrictEqual(a.to, ["b"])
    assert.deepStrictEqual(a.onError, {
      SearchFailed: { status: "skipped", to: "b" },
      Rejected: { status: "tolerated", to: "c" }
    })
    assert.deepStrictEqual(a.onDefect, { status: "stop" })
    assert.match(a.site()?.file ?? "", /Flow\.test\.ts$/)
  })
})
