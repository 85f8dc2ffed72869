import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Json } from "effect/Schema"
import { Event, mapValues } from "../../src/Event.ts"
import { guardOf } from "../../src/internal/guard.ts"
import { isSnapshotHead, SnapshotHead } from "../../src/internal/snapshotHead.ts"
import * as Journal from "../../src/Journal.ts"
import * as RunState from "../../src/RunState.ts"
import { arbitraryEvent, arbitraryOf } from "./arbitraryEvent.ts"
import { choiceOf, objectOf, valueOf } from "./choice.ts"
import type { Choice } from "./choice.ts"
import { canonical, viewOf } from "./view.ts"
import { build, fixedNumbers, numbers } from "./world.ts"

const options = { arbitrary: { runs: 30, seed: 1 }, timeout: 300_000 }
const strict = { onExcessProperty: "error" } as const
const decode = Schema.decodeUnknownExit(Event, strict)
const header = { run: "r", seq: 0, epoch: 0, time: 1, prev: Journal.genesis }

/** A value that is wrong in one place: a field more, less or other. */
const spoiled = (choice: Choice, value: unknown): unknown => {
  if (typeof value !== "object" || value === null || choice.chance(0.1)) {
    return choice.pick<unknown>([null, true, "x", -1, 1.5, 1e300, [], {}, [1], { set: 1 }])
  }
  if (Array.isArray(value)) {
    if (value.length === 0 || choice.chance(0.2)) return [...value, valueOf(choice, 1)]
    const at = choice.int(0, value.length - 1)
    return value.map((item, i) => (i === at ? spoiled(choice, item) : item))
  }
  const entries = Object.entries(value)
  if (entries.length === 0 || choice.chance(0.2))
    return objectOf([...entries, [choice.pick(["x", "__proto__", "add"]), 1]])
  const at = choice.int(0, entries.length - 1)
  if (choice.chance(0.2)) return objectOf(entries.filter((_, i) => i !== at))
  return objectOf(entries.map(([key, item], i) => [key, i === at ? spoiled(choice, item) : item] as const))
}

describe("events", { concurrent: false }, () => {
  it.prop(
    "are read as they were written: the schema, the parser and the writer agree on every line",
    { numbers: numbers(120) },
    ({ numbers }) => {
      for (const { entries } of build(numbers).journals) {
        for (const { event, line } of entries) {
          assert.notInclude(line, "\n")
          assert.notMatch(line, /\p{Surrogate}/u)
          const parsed = Result.getOrThrow(Journal.parse(line))
          assert.strictEqual(parsed.line, line)
          assert.strictEqual(JSON.stringify(parsed.event), line)
          assert.strictEqual(canonical(parsed.event), canonical(event))
          const decoded = decode(JSON.parse(line))
          assert.strictEqual(
            canonical(Exit.isSuccess(decoded) ? decoded.value : decoded.cause),
            canonical(event)
          )
        }
      }
    },
    options
  )

  it.prop(
    "are told from what is none exactly as the schema tells them",
    { seed: Schema.Int },
    ({ seed }) => {
      const choice = choiceOf(seed)
      let refused = 0
      for (let i = 0; i < 200; i++) {
        const event: unknown = JSON.parse(JSON.stringify({ ...arbitraryEvent(choice, []), ...header }))
        const value = choice.chance(0.3) ? event : spoiled(choice, event)
        const line = JSON.stringify(value)
        const parsed = Journal.parse(line)
        const expected = decode(JSON.parse(line))
        assert.strictEqual(Result.isSuccess(parsed), Exit.isSuccess(expected), line)
        if (Result.isSuccess(parsed)) assert.strictEqual(canonical(parsed.success.event), canonical(value))
        else {
          refused += 1
          assert.strictEqual(parsed.failure._tag, "CorruptEntry")
        }
      }
      assert.isAbove(refused, 50)
    },
    options
  )

  it("are recognised by the guard itself: the slower parser only explains", () => {
    const isEvent = guardOf(Event)
    for (const { entries } of build(fixedNumbers(3, 300)).journals) {
      for (const { line } of entries) assert.isTrue(isEvent(JSON.parse(line)), line)
    }
  })

  it.each([
    ["no JSON", "{", /not JSON/],
    ["no object", "3", /no kind/],
    ["no kind", "{}", /no kind/],
    [
      "an unknown kind",
      `{"run":"r","seq":7,"kind":"dreamt"}`,
      /entry 7 of run "r".*"dreamt" is unknown.*newer/
    ],
    ["a kind of another type", `{"run":"r","seq":7,"kind":{}}`, /unknown/],
    [
      "a field of a later version",
      JSON.stringify({ ...header, kind: "resumed", more: 1 }),
      /excess.*"more"/s
    ],
    [
      "an operation that is two",
      JSON.stringify({ ...header, kind: "restarted", edits: { a: { set: 1, add: 1 } } }),
      /excess/
    ],
    ["a position beyond all positions", `{"run":"r","seq":1e300,"kind":"resumed"}`, /cannot be read/],
    ["a field that is missing", JSON.stringify({ ...header, kind: "annotated" }), /Missing key.*"note"/s],
    ["a time that is none", JSON.stringify({ ...header, kind: "annotated", note: "n", time: null }), /"time"/]
  ])("are not read from a line with %s; the error says why", (_, line, message) => {
    const parsed = Journal.parse(line)
    assert.isTrue(Result.isFailure(parsed))
    if (Result.isFailure(parsed)) assert.match(parsed.failure.message, message)
  })

  it.prop(
    "are opened by a codec as they were sealed, and hold nothing of the author's in between",
    { numbers: numbers(60) },
    ({ numbers }) => {
      const seal = (value: Json): Effect.Effect<Json> => Effect.succeed({ sealed: JSON.stringify(value) })
      const open = (value: Json): Effect.Effect<Json> =>
        Effect.sync(() => JSON.parse((value as { readonly sealed: string }).sealed) as Json)
      for (const { entries, origin, states } of build(numbers).journals) {
        let state = origin?.state
        entries.forEach(({ event, line }, i) => {
          const sealed = Effect.runSync(mapValues(event, seal))
          const stored = Result.getOrThrow(Journal.parse(JSON.stringify(sealed))).event
          const opened = Effect.runSync(mapValues(stored, open))
          assert.strictEqual(canonical(opened), canonical(event))
          state = Result.getOrThrow(RunState.apply(state, opened, line.length))
          if (i === entries.length - 1) assert.strictEqual(viewOf(state), viewOf(states[i]!))
        })
      }
    },
    options
  )

  it("have every value of the flow's author sealed, wherever it stands", () => {
    const secret = "the author's secret"
    const fields = Event.members.map((member) => member.ast)
    for (const ast of fields) {
      for (let seed = 0; seed < 60; seed++) {
        const event = secretly(arbitraryOf(ast, choiceOf(seed), []), ast, secret) as Event
        const sealed = Effect.runSync(mapValues(event, () => Effect.succeed("sealed")))
        assert.notInclude(JSON.stringify(sealed), secret, event.kind)
      }
    }
  })
})

/** A value of a schema with a secret in the place of every `Value`. */
const secretly = (
  value: unknown,
  ast: (typeof Event.members)[number]["ast"] | Schema.Top["ast"],
  secret: string
): unknown => {
  switch (ast._tag) {
    case "Declaration":
      return { text: secret }
    case "Union": {
      const member = ast.types.find((type) =>
        Exit.isSuccess(Schema.decodeUnknownExit(Schema.make<Schema.Codec<unknown>>(type), strict)(value))
      )
      return secretly(value, member!, secret)
    }
    case "Arrays":
      return (value as ReadonlyArray<unknown>).map((item, i) =>
        secretly(item, ast.elements[i] ?? ast.rest[0]!, secret)
      )
    case "Objects": {
      const object = value as { readonly [key: string]: unknown }
      return objectOf(
        Object.keys(object).map((key) => {
          const field = ast.propertySignatures.find(({ name }) => name === key)
          return [key, secretly(object[key], field?.type ?? ast.indexSignatures[0]!.type, secret)] as const
        })
      )
    }
    default:
      return value
  }
}

describe("heads of snapshots", { concurrent: false }, () => {
  it.prop(
    "are told from what is none exactly as their schema tells them",
    { seed: Schema.Int },
    ({ seed }) => {
      const choice = choiceOf(seed)
      const isHead = Schema.decodeUnknownExit(SnapshotHead, strict)
      for (let i = 0; i < 60; i++) {
        const head: unknown = JSON.parse(JSON.stringify(arbitraryOf(SnapshotHead.ast, choice, [])))
        const value: unknown = JSON.parse(JSON.stringify(choice.chance(0.3) ? head : spoiled(choice, head)))
        assert.strictEqual(isSnapshotHead(value), Exit.isSuccess(isHead(value)), JSON.stringify(value))
      }
    },
    options
  )
})
