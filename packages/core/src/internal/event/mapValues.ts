import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Kind } from "../../Event.ts"
import type { Failure, Next, Op, Ops } from "./values.ts"

const mapOp = <E, R>(
  op: Op,
  f: (value: Schema.Json) => Effect.Effect<Schema.Json, E, R>
): Effect.Effect<Op, E, R> => {
  if ("set" in op) return Effect.map(f(op.set), (set) => ({ set }))
  if ("append" in op) return Effect.map(Effect.forEach(op.append, f), (append) => ({ append }))
  if ("combine" in op) return Effect.map(f(op.combine), (combine) => ({ combine }))
  if ("merge" in op) return Effect.map(mapRecord(op.merge, f), (merge) => ({ merge }))
  return Effect.succeed(op)
}

const mapRecord = <A, B, E, R>(
  record: { readonly [key: string]: A },
  f: (value: A) => Effect.Effect<B, E, R>
): Effect.Effect<{ readonly [key: string]: B }, E, R> =>
  Effect.map(
    Effect.forEach(Object.entries(record), ([key, value]) =>
      Effect.map(f(value), (mapped) => [key, mapped] as const)
    ),
    (entries) => Object.fromEntries(entries)
  )

/** The fields of events that hold a value, a record of operations, or a failure; by name, the same in every kind. */
const valueFields = [
  "input",
  "output",
  "body",
  "content",
  "head",
  "schema",
  "data",
  "payload",
  "value",
  "text"
] as const
const opsFields = ["ops", "edits"] as const

/**
 * Applies `f` to every value in an event that the flow's author defined, and to the texts of failures: what a
 * {@link Codec} seals and opens. Everything the run index needs stays as it is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const mapValues = <B extends { readonly kind: Kind }, E, R>(
  event: B,
  f: (value: Schema.Json) => Effect.Effect<Schema.Json, E, R>
): Effect.Effect<B, E, R> =>
  Effect.gen(function* () {
    const mapped: Record<string, any> = { ...event }
    for (const field of valueFields) {
      if (mapped[field] !== undefined) mapped[field] = yield* f(mapped[field])
    }
    for (const field of opsFields) {
      if (mapped[field] !== undefined)
        mapped[field] = yield* mapRecord(mapped[field], (op: Op) => mapOp(op, f))
    }
    if (mapped["updates"] !== undefined) {
      mapped["updates"] = yield* mapRecord(
        mapped["updates"],
        (branches: { readonly [branch: string]: ReadonlyArray<Ops> }) =>
          mapRecord(branches, (updates) =>
            Effect.forEach(updates, (ops) => mapRecord(ops, (op) => mapOp(op, f)))
          )
      )
    }
    if (event.kind === "created") mapped["state"] = yield* mapRecord(mapped["state"], f)
    if (mapped["error"] !== undefined) mapped["error"] = yield* mapFailure(mapped["error"], f)
    if (event.kind === "visited") {
      const next: Next = mapped["next"]
      if ("branches" in next) {
        mapped["next"] = {
          ...next,
          branches: yield* Effect.forEach(next.branches, (branch) =>
            branch.item === undefined
              ? Effect.succeed(branch)
              : Effect.map(f(branch.item), (item) => ({ ...branch, item }))
          )
        }
      }
    }
    if (event.kind === "waitOpened" && mapped["on"].type === "user") {
      const { choices, prompt } = mapped["on"]
      mapped["on"] = { ...mapped["on"], prompt: yield* f(prompt) }
      if (choices !== undefined) mapped["on"].choices = yield* f(choices)
    }
    if (event.kind === "waitEnded") {
      if ("value" in mapped["outcome"]) mapped["outcome"] = { value: yield* f(mapped["outcome"].value) }
      else if ("failure" in mapped["outcome"]) {
        mapped["outcome"] = { failure: yield* mapFailure(mapped["outcome"].failure, f) }
      }
    }
    if (event.kind === "paused" && mapped["reason"].kind === "diverged") {
      const { got } = mapped["reason"]
      mapped["reason"] = { ...mapped["reason"], got: { ...got, input: yield* f(got.input) } }
    }
    return mapped as B
  })

const mapFailure = <E, R>(
  failure: Failure,
  f: (value: Schema.Json) => Effect.Effect<Schema.Json, E, R>
): Effect.Effect<Failure, E, R> =>
  Effect.gen(function* () {
    switch (failure.kind) {
      case "error":
        return { ...failure, error: yield* f(failure.error), message: yield* f(failure.message) }
      case "defect":
        return failure.stack === undefined
          ? { ...failure, message: yield* f(failure.message) }
          : { ...failure, message: yield* f(failure.message), stack: yield* f(failure.stack) }
      case "encoding":
        return { ...failure, message: yield* f(failure.message) }
      default:
        return failure
    }
  })
