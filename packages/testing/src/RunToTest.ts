/**
 * Turns a recorded run into a test: the text of a Vitest file, in which fakes answer as the tools did, everybody does to
 * the run what they did, and the outcome has to be the same.
 *
 * ```ts
 * import type { Runs } from "@waymark/core/Runs"
 * import * as RunToTest from "@waymark/testing/RunToTest"
 * import * as Effect from "effect/Effect"
 *
 * // The modules that the test imports its flow, the handlers and the tools from: as it names them, and as they are.
 * export const test = (invoice: RunToTest.Modules[string]): Effect.Effect<string, unknown, Runs> =>
 *   RunToTest.generate("invoice-17", { modules: { "../src/invoice.ts": invoice } })
 * ```
 *
 * Write the text where the specifiers lead to these modules. The file is yours from then on: change it as you like.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Event, Of } from "@waymark/core/Event"
import * as Flow from "@waymark/core/Flow"
import { isTerminal } from "@waymark/core/RunInfo"
import type { RunInfo } from "@waymark/core/RunInfo"
import * as Runs from "@waymark/core/Runs"
import type * as StoreModule from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import { differences } from "./internal/differences.ts"
import * as Given from "./internal/given.ts"
import { exportsOf } from "./internal/runToTest/exports.ts"
import type { Export, Exports, Modules } from "./internal/runToTest/exports.ts"
import { fakesOf } from "./internal/runToTest/fakes.ts"
import { literal, text } from "./internal/runToTest/literal.ts"
import { CannotGenerate } from "./internal/runToTest/refusal.ts"
import { openOf, stepsOf } from "./internal/runToTest/steps.ts"

export { CannotGenerate }
export type {
  /**
   * Modules by the specifier that the test imports them by: what `import * as module from "…"` gives.
   *
   * @category models
   * @since 0.1.0
   */
  Modules
} from "./internal/runToTest/exports.ts"

/**
 * - `modules`: where the flow, the layer with its handlers, and the tools that it calls are exported; the same of flows whose
 *   runs it starts
 * - `handlers`: the names of the exported layers with the handlers; found by themselves if there is one, or one that is
 *   called like its flow
 * - `latency`: whether the fakes take as long as the tools did, in virtual time; `true` unless said otherwise
 * - `name`: the name of the test
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly modules: Modules
  readonly handlers?: ReadonlyArray<string> | undefined
  readonly latency?: boolean | undefined
  readonly name?: string | undefined
}

interface Recorded {
  readonly info: RunInfo
  readonly events: ReadonlyArray<Event>
}

/** A run and those that it started, the ones before the others. */
const recordedOf = Effect.fnUntraced(function* (run: string) {
  const runs = yield* Runs.Runs
  const found: Array<Recorded> = []
  const ids = new Set([run])
  for (const id of ids) {
    const info = yield* runs.get(id)
    found.push({ info, events: yield* Stream.runCollect(runs.events(id, { to: info.seq })) })
    let cursor: string | undefined
    do {
      const page = yield* runs.list({
        parent: id,
        order: "oldest",
        ...(cursor === undefined ? {} : { cursor })
      })
      for (const child of page.runs) ids.add(child.run)
      cursor = page.cursor
    } while (cursor !== undefined)
  }
  return found
})

/** Whether a value can be written down as it is: JSON, and the same on both sides of its schema. */
const isPlain = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return value === null || typeof value !== "function"
  if (Array.isArray(value)) return value.every(isPlain)
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain)
}

const isSame = (schema: Schema.Codec<any, any>, json: Schema.Json): boolean => {
  const decoded = Schema.decodeUnknownExit(Schema.toCodecJson(schema))(json)
  return (
    decoded._tag === "Success" && isPlain(decoded.value) && differences(json, decoded.value, 1).length === 0
  )
}

const codecText = (flow: Export<Flow.Any>, what: "input" | "output"): string =>
  `Schema.toCodecJson(${flow.local}.${what})`

/** How the run was started: whatever is not as the flow has it. */
const startOptions = (flow: Flow.Any, created: Of<"created">): Schema.Json => {
  const budgets = Object.fromEntries(flow.budgets.map(({ limit, name }) => [name, limit]))
  const timeout = flow.timeout === undefined ? undefined : Duration.toMillis(flow.timeout)
  const options = {
    id: created.run,
    session: created.session,
    actor: created.actor,
    correlation: created.correlation,
    tags: created.tags,
    attributes: created.attributes,
    durability: created.durability === flow.durability ? undefined : created.durability,
    maxSteps: created.maxSteps === flow.maxSteps ? undefined : created.maxSteps,
    budgets: differences(budgets, created.budgets ?? {}).length === 0 ? undefined : created.budgets,
    timeout: created.timeout === timeout ? undefined : created.timeout
  }
  return JSON.parse(JSON.stringify(options)) as Schema.Json
}

/** The statements that start the run. */
const startOf = (flow: Export<Flow.Any>, created: Of<"created">): ReadonlyArray<string> => {
  const { input } = created
  const isPlainInput = isSame(flow.value.input, input)
  const line = `    const run = yield* runs.start(${flow.local}, `
  const given = input === null ? "undefined" : isPlainInput ? literal(input, 4, line.length) : "input"
  const run = `${line}${given}, ${literal(startOptions(flow.value, created), 4, line.length + given.length)})`
  if (isPlainInput) return [run]
  const before = `    const input = Schema.decodeUnknownSync(${codecText(flow, "input")})(`
  return [`${before}${literal(input, 4, before.length)})`, run]
}

const statement = (expression: string): string => `    yield* ${expression}`

/** The statements that say what the run came to. */
const outcomeOf = (flow: Export<Flow.Any>, { events, info }: Recorded): ReadonlyArray<string> => {
  const refuse = (detail: string): never => {
    throw new CannotGenerate({ run: info.run, seq: info.seq, detail })
  }
  const last = events.findLast((event) => ["completed", "failed", "cancelled", "paused"].includes(event.kind))
  if (info.status === "completed" && last?.kind === "completed") {
    const expected = "yield* TestRuntime.expectCompleted(run)"
    if (last.output === null) return [statement("TestRuntime.expectCompleted(run)")]
    if (isSame(flow.value.output, last.output)) {
      const before = `assert.deepStrictEqual(${expected}, `
      return [`    ${before}${literal(last.output, 4, 4 + before.length)})`]
    }
    const before = `assert.deepStrictEqual(Schema.encodeUnknownSync(${codecText(flow, "output")})(output), `
    return [`    const output = ${expected}`, `    ${before}${literal(last.output, 4, 4 + before.length)})`]
  }
  if (info.status === "failed" && last?.kind === "failed") {
    const { stack: _, ...failure } = last.error as { readonly stack?: unknown } & typeof last.error
    const before = "assert.deepInclude(yield* TestRuntime.expectFailed(run), "
    return [`    ${before}${literal(failure, 4, 4 + before.length)})`]
  }
  if (info.status === "cancelled" && last?.kind === "cancelled")
    return [`    assert.strictEqual(yield* TestRuntime.expectCancelled(run), ${text(last.reason)})`]
  if (info.status === "waiting") {
    const open = openOf(events)
    const [newest, ...others] = open
    if (newest === undefined) return refuse("it waits for nothing that has a name")
    const nth = newest.nth === 1 ? "" : `, { nth: ${newest.nth} }`
    return [
      statement(`TestRuntime.advanceToWait(run, ${text(newest.label)}${nth})`),
      ...others.map(({ label }) => statement(`TestRuntime.expectWaiting(run, ${text(label)})`))
    ]
  }
  if (
    info.status === "paused" &&
    last?.kind === "paused" &&
    last.reason.kind !== "requested" &&
    last.reason.kind !== "inDoubt"
  )
    return [statement(`TestRuntime.expectPaused(run, ${text(last.reason.kind)})`)]
  return refuse(
    `it has come to no end yet: it is ${info.status}${info.pause === undefined ? "" : ` (${info.pause})`}`
  )
}

/** The runs that went on after the end of the one that started them. */
const stragglers = (main: RunInfo, others: ReadonlyArray<Recorded>): ReadonlyArray<string> =>
  others
    .filter(
      ({ info }) => isTerminal(info.status) && main.endedAt !== undefined && info.endedAt! > main.endedAt
    )
    .map(({ info }) => statement(`TestRuntime.advanceToEnd(${text(info.run)})`))

const listOf = (items: ReadonlyArray<string>): string => `[${items.join(", ")}]`

const moduleText = (exports: Exports, options: Options, all: ReadonlyArray<Recorded>): string => {
  const [main, ...others] = all as [Recorded, ...Array<Recorded>]
  const { info } = main
  const flow = exports.flow(info.flow)
  const flows = [flow, ...new Set(others.map((one) => exports.flow(one.info.flow)))].filter(
    (one, index, every) => every.indexOf(one) === index
  )
  const created = main.events[0]!
  if (created.kind !== "created") {
    throw new CannotGenerate({
      run: info.run,
      seq: 0,
      detail: "it is a fork, which goes on from what another run did"
    })
  }
  const secret =
    flows.find(({ value }) => Flow.requiresCodec(value)) ??
    exports.tools.find(({ value }) => Tool.requiresCodec(value))
  if (secret !== undefined)
    throw new CannotGenerate({
      run: info.run,
      detail: `${secret.name} holds secrets, which would stand in the test`
    })

  const events = all.flatMap((one) => one.events).sort((a, b) => a.time - b.time)
  const fakes = fakesOf(info.run, events, exports, options.latency ?? true, 4)
  const handlers = exports.handlers(flows)
  const steps = stepsOf(info.run, events).map(statement)
  const isOver = isTerminal(info.status)
  const body = [
    "    const runs = yield* Runs.Runs",
    ...startOf(flow, created),
    ...steps,
    ...(isOver ? [statement("TestRuntime.advanceToEnd(run)")] : []),
    ...outcomeOf(flow, main),
    ...(isOver ? stragglers(info, others) : []),
    ...(fakes.length > 0 && isOver ? ["    tools.expectDone()"] : [])
  ]
  const uses = (name: string): boolean => body.some((line) => line.includes(name))
  const layers = handlers.map(({ local }) => local)
  const handlersText = layers.length === 1 ? layers[0]! : `Layer.mergeAll(${layers.join(", ")})`
  const provided = fakes.length === 0 ? handlersText : `Layer.provide(${handlersText}, tools.layer)`
  const needsLayer = provided.includes("Layer.")
  const name = options.name ?? `run ${info.run} of flow ${info.flow}: ${info.status}, as recorded`
  return `${[
    `import { ${uses("assert.") ? "assert, " : ""}it } from "@effect/vitest"`,
    'import * as Runs from "@waymark/core/Runs"',
    ...(fakes.length > 0 ? ['import * as FakeTools from "@waymark/testing/FakeTools"'] : []),
    'import * as TestRuntime from "@waymark/testing/TestRuntime"',
    'import * as Effect from "effect/Effect"',
    ...(needsLayer ? ['import * as Layer from "effect/Layer"'] : []),
    ...(uses("Schema.") ? ['import * as Schema from "effect/Schema"'] : []),
    ...(uses("TestClock.") ? ['import * as TestClock from "effect/testing/TestClock"'] : []),
    ...exports.imports(),
    "",
    `it.effect(${text(name)}, () => {`,
    ...(fakes.length > 0 ? ["  const tools = FakeTools.make(", `    ${fakes.join(",\n    ")}`, "  )"] : []),
    "  return Effect.gen(function* () {",
    ...body,
    "  }).pipe(",
    "    Effect.provide(",
    "      TestRuntime.layer({",
    `        flows: ${listOf(flows.map(({ local }) => local))},`,
    `        handlers: ${provided},`,
    `        now: ${created.time}`,
    "      })",
    "    )",
    "  )",
    "})"
  ].join("\n")}\n`
}

/**
 * The text of a Vitest file that does again what a run did, and expects what it came to: that it completed, with its output;
 * failed or was cancelled, and why; or what it waits for. Runs that it started belong to it.
 *
 * It fails with {@link CannotGenerate} if the run did something that a test cannot do again, has not come to rest, or
 * holds secrets; or if something that the test needs is not exported.
 *
 * @category generating
 * @since 0.1.0
 */
export const generate = (
  run: Runs.RunLike,
  options: Options
): Effect.Effect<string, CannotGenerate | Runs.ReadError | StoreModule.StoreError, Runs.Runs> =>
  Effect.gen(function* () {
    Given.refuse("RunToTest.generate", [
      ...Given.problemOf("run", run, Given.aRun),
      ...Given.problemsOf<Options>(options, {
        modules: Given.kind(
          'an object of modules by the specifier that the test imports them by, such as { "../src/flow.ts": module }',
          (value) => Given.isObject(value) && Object.values(value).every(Given.isObject)
        ),
        handlers: Given.optional(Given.texts),
        latency: Given.optional(Given.aBoolean),
        name: Given.optional(Given.aText)
      })
    ])
    const id = typeof run === "string" ? run : run.id
    const all = yield* recordedOf(id)
    return yield* Effect.try({
      try: () => moduleText(exportsOf(id, options.modules, options.handlers), options, all),
      catch: (error): CannotGenerate => {
        if (Schema.is(CannotGenerate)(error)) return error
        throw error
      }
    })
  })
