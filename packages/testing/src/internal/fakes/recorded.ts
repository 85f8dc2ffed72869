/**
 * Fakes that reply as something was recorded.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Event } from "@waymark/core/Event"
import type * as Tool from "@waymark/core/Tool"
import { differences } from "../differences.ts"
import * as Given from "../given.ts"
import type { Call, Fake, Opened, Respond } from "./fake.ts"
import { placeOf, triesOf } from "./tries.ts"
import type { Result } from "./tries.ts"

/**
 * A try of a call as it was recorded, its values as they are stored (by JSON codecs of the tool's schemas).
 *
 * - `output`: it succeeded with this, `null` for a tool without output; `error`: it failed with this declared error
 * - `defect`: it failed unexpectedly; `hangs`: it did not answer
 * - `after`: how long it took
 *
 * @category models
 * @since 0.1.0
 */
export type RecordedTry = { readonly input: Schema.Json; readonly after?: Duration.Input | undefined } & (
  | { readonly output: Schema.Json }
  | { readonly error: Schema.Json }
  | { readonly defect: { readonly name: string; readonly message: string } }
  | { readonly hangs: true }
)

const parse: { readonly onExcessProperty: "error" } = { onExcessProperty: "error" }

const jsonOf = <S extends Schema.Codec<any, any>>(schema: S): Schema.Codec<S["Type"], Schema.Json> =>
  Schema.toCodecJson(schema)

/** What was recorded does not fit the tool any more. */
const unfit = (tool: Tool.Any, what: string, error: Schema.SchemaError): Error =>
  new Error(`the recorded ${what} of tool ${tool.name} does not fit its schema: ${error.message}`)

const resultOf = (tool: Tool.Any, result: Result): Effect.Effect<unknown, unknown> => {
  const decode = (what: "output" | "error", json: Schema.Json) =>
    Schema.decodeUnknownEffect(
      jsonOf(tool[what]),
      parse
    )(json).pipe(
      Effect.mapError((error) => unfit(tool, what, error)),
      Effect.orDie
    )
  if ("output" in result) return decode("output", result.output)
  if ("error" in result) return Effect.flatMap(decode("error", result.error), Effect.fail)
  if ("hangs" in result) return Effect.never
  if ("unplayable" in result)
    return Effect.die(new Error(`a recorded failure (${result.unplayable}) cannot be played`))
  const { message, name } = result.defect
  return Effect.die(Object.assign(new Error(message), { name }))
}

interface Recording {
  readonly input: Schema.Json
  readonly result: Result
  readonly after: Duration.Duration
  /** Where the call was made; `undefined` if it does not count. */
  readonly place: string | undefined
}

const isEvents = (
  source: ReadonlyArray<RecordedTry> | ReadonlyArray<Event>
): source is ReadonlyArray<Event> => source.length > 0 && "seq" in source[0]!

const recordingsOf = (
  tool: Tool.Any,
  source: ReadonlyArray<RecordedTry> | ReadonlyArray<Event>
): ReadonlyArray<Recording> =>
  isEvents(source)
    ? triesOf(source)
        .calls.filter((call) => call.tool === tool.name)
        .map(({ input, millis, place, result }) => ({ input, result, place, after: Duration.millis(millis) }))
    : source.map(({ after, input, ...result }) => ({
        input,
        result,
        place: undefined,
        after: Duration.fromInputUnsafe(after ?? 0)
      }))

/** Finds the recording of a call among those that are left: one that was made at the same place, or else the first. */
const find = (left: ReadonlyArray<Recording>, input: Schema.Json, call: Call): number => {
  const isSame = (recording: Recording): boolean => differences(recording.input, input, 1).length === 0
  const place = placeOf(call)
  const there = left.findIndex((recording) => recording.place === place && isSame(recording))
  return there === -1 ? left.findIndex(isSame) : there
}

const unexpected = (left: ReadonlyArray<Recording>, all: number, input: Schema.Json): string => {
  if (left.length === 0) return `${all} tries were recorded, and were all made`
  const closest = left
    .map((recording) => differences(recording.input, input))
    .reduce((best, lines) => (lines.length < best.length ? lines : best))
  return `no try with this input is left in the recording; the closest differs: ${closest.join("; ")}`
}

/**
 * Replies as was recorded: in the journal of a run (its decoded events, and those of the runs that it started), or by hand.
 *
 * A try gets the result of a recorded one that had the same input, at the same place if there is one, each recorded result
 * once and after as long as it took. A try that was not recorded is unexpected; `expectDone` finds those that are not made
 * any more. Tries at undoing calls, too, end as the journal has it; or as `undone` says, by the inputs of the calls, and
 * those that it says nothing of succeed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const recorded = <T extends Tool.Any>(
  tool: T,
  source: ReadonlyArray<RecordedTry> | ReadonlyArray<Event>,
  undone: ReadonlyArray<RecordedTry> = []
): Fake<T["name"]> => {
  Given.refuse("FakeTools.recorded", [
    ...Given.problemOf("tool", tool, Given.aTool),
    ...problemsOfSource("source", source),
    ...problemsOfSource("undone", undone)
  ])
  const recordings = recordingsOf(tool, source)
  const undos: ReadonlyArray<Undone> = isEvents(source)
    ? triesOf(source).undos.filter((one) => one.tool === tool.name)
    : undone.map(({ after: _, input, ...result }) => ({ input, result }))
  const encode = Schema.encodeUnknownEffect(jsonOf(tool.input), parse)
  return {
    tool,
    open: () => {
      const left = [...recordings]
      const respond: Respond = (input, call) => {
        const encoded = Effect.runSyncExit(encode(input))
        if (encoded._tag === "Failure") return { unexpected: "its input cannot be encoded" }
        const index = find(left, encoded.value, call)
        if (index === -1) return { unexpected: unexpected(left, recordings.length, encoded.value) }
        const [{ after, result }] = left.splice(index, 1) as [Recording]
        return Effect.delay(resultOf(tool, result), after)
      }
      return { unused: () => left.length, respond, undo: undoing(tool, undos, encode) }
    }
  }
}

/** What a recorded try may have come to. */
const ends = ["output", "error", "defect", "hangs"]

const problemsOfSource = (name: string, source: unknown): ReadonlyArray<string> => {
  if (!Array.isArray(source)) return Given.problemOf(name, source, aSource)
  return source.flatMap((one: unknown, index) => {
    const isTry = Given.isObject(one) && "input" in one && ends.filter((end) => end in one).length === 1
    return isTry || (Given.isObject(one) && "seq" in one && "kind" in one)
      ? []
      : Given.problemOf(`${name}[${index}]`, one, aRecording)
  })
}

const aSource = Given.kind("a list of recorded tries, or of the decoded events of a journal", Array.isArray)
const aRecording = Given.kind(`an event, or a try with \`input\` and one of ${ends.join(", ")}`, () => false)

interface Undone {
  readonly input: Schema.Json
  readonly result: Result
}

const undoing = (
  tool: Tool.Any,
  undos: ReadonlyArray<Undone>,
  encode: (input: unknown) => Effect.Effect<Schema.Json, Schema.SchemaError>
): Opened["undo"] => {
  if (undos.length === 0) return undefined
  const left = [...undos]
  return ({ input }) =>
    Effect.flatMap(Effect.orDie(encode(input)), (encoded) => {
      const index = left.findIndex((one) => differences(one.input, encoded, 1).length === 0)
      if (index === -1) return Effect.void
      const [{ result }] = left.splice(index, 1) as [Undone]
      return "output" in result ? Effect.void : Effect.asVoid(resultOf(tool, result))
    })
}
