/**
 * What goes wrong with storage, on purpose: a wrapper for any `Store`, and for the file system under one.
 *
 * A plan says which faults there are and when: at the `k`th operation ({@link at}), or by a seed ({@link seeded}). What is
 * wrapped may be a store of yours, to see what your program makes of its failures, or the `FileSystem` under a store of
 * yours, to see what the store makes of those.
 *
 * ```ts
 * import * as MemoryStore from "@waymark/core/MemoryStore"
 * import { Store } from "@waymark/core/Store"
 * import * as Faults from "@waymark/testing/Faults"
 * import * as Effect from "effect/Effect"
 *
 * export const program = Effect.gen(function*() {
 *   // The second thing that is written meets a full disk.
 *   const faults = Faults.make([Faults.at(2, Faults.noSpace, { of: ({ kind }) => kind === "write" })])
 *   const use = Effect.gen(function*() {
 *     const store = yield* Store
 *     yield* store.setMeta("first", "is written")
 *     return yield* Effect.flip(store.setMeta("second", "is not"))
 *   })
 *   return yield* Effect.provide(use, faults.store(MemoryStore.layer()))
 * })
 * ```
 *
 * A fault comes only to operations that it can come to: a torn write to one that writes, a lost sync to one that syncs, a
 * stale read to one that was asked before. {@link Faults.injected} says what came of a plan.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { Store } from "@waymark/core/Store"
import type * as Plan from "./internal/faults/fault.ts"
import { wrap as wrapFileSystem } from "./internal/faults/fileSystem.ts"
import * as Injector from "./internal/faults/injector.ts"
import { wrap as wrapStore } from "./internal/faults/store.ts"
import * as Given from "./internal/given.ts"
import { isCode } from "./internal/powerLoss/errno.ts"
import type { Code } from "./internal/powerLoss/errno.ts"

// -------------------------------------------------------------------------------------------------------------------
// faults
// -------------------------------------------------------------------------------------------------------------------

const aCode = Given.kind("the system's name of an error, such as EIO or ENOSPC", isCode)
const aFault = Given.kind(
  "a fault, such as Faults.io or Faults.tornWrite(3)",
  (value) => Given.isObject(value) && typeof value["_tag"] === "string"
)
const rule = Given.kind(
  "a rule, as Faults.at, Faults.always and Faults.seeded give it",
  (value) => Given.isObject(value) && (value["_tag"] === "At" || value["_tag"] === "Seeded")
)

/**
 * Something that goes wrong with one operation.
 *
 * @category models
 * @since 0.1.0
 */
export type Fault = Plan.Fault

/**
 * The system's name of an error, such as `EIO` or `ENOSPC`.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorCode = Code

/**
 * The operation fails with an error, and nothing of it happened; of a write, with `partial`, so many bytes did.
 *
 * A file system fails as Node's does. A store fails with a `StoreError`; a `sync` that fails makes the lease void, and
 * nobody knows whether what was appended is durable.
 *
 * @category faults
 * @since 0.1.0
 */
export const fail = (code: ErrorCode, options: { readonly partial?: number | undefined } = {}): Fault => {
  Given.refuse("Faults.fail", [
    ...Given.problemOf("code", code, aCode),
    ...Given.problemsOf<typeof options>(options, { partial: Given.optional(Given.aCount(0)) })
  ])
  return { _tag: "Fail", code, partial: options.partial }
}

/**
 * Something is broken: `EIO`.
 *
 * @category faults
 * @since 0.1.0
 */
export const io: Fault = fail("EIO")

/**
 * There is no space left: `ENOSPC`.
 *
 * @category faults
 * @since 0.1.0
 */
export const noSpace: Fault = fail("ENOSPC")

/**
 * The process is gone before the operation happens. No operation ever comes back.
 *
 * @category faults
 * @since 0.1.0
 */
export const crashBefore: Fault = { _tag: "CrashBefore" }

/**
 * The operation happens, the process is gone, and nobody hears of it.
 *
 * @category faults
 * @since 0.1.0
 */
export const crashAfter: Fault = { _tag: "CrashAfter" }

/**
 * The process is gone in the middle of a write: its first `bytes` bytes were written. A store that is wrapped takes all or
 * nothing: there it is as if the process were gone before, unless these are all bytes.
 *
 * @category faults
 * @since 0.1.0
 */
export const tornWrite = (bytes: number): Fault => {
  Given.argument("Faults.tornWrite", "bytes", bytes, Given.aCount(0))
  return { _tag: "TornWrite", bytes }
}

/**
 * A sync succeeds and does nothing: a lie. What is lost by it in a power cut was said to be durable.
 *
 * @category faults
 * @since 0.1.0
 */
export const lostSync: Fault = { _tag: "LostSync" }

/**
 * The operation arrives twice and is acknowledged once, as when somebody who did not get the first answer asked again. Writes
 * to files are spared: what appends does not append the same twice on any disk.
 *
 * @category faults
 * @since 0.1.0
 */
export const duplicate: Fault = { _tag: "Duplicate" }

/**
 * The operation takes longer.
 *
 * @category faults
 * @since 0.1.0
 */
export const delay = (duration: Duration.Input): Fault => {
  Given.argument("Faults.delay", "duration", duration, Given.aDuration)
  return { _tag: "Delay", millis: Duration.toMillis(Duration.fromInputUnsafe(duration)) }
}

/**
 * One bit of what is read or written is another. `bit` is its number, from the first of the first byte; beyond the last one
 * it goes on from the first.
 *
 * @category faults
 * @since 0.1.0
 */
export const flipBit = (bit: number): Fault => {
  Given.argument("Faults.flipBit", "bit", bit, Given.aCount(0))
  return { _tag: "FlipBit", bit }
}

/**
 * A read is answered as the last one that asked the same, whatever was written since.
 *
 * @category faults
 * @since 0.1.0
 */
export const staleRead: Fault = { _tag: "StaleRead" }

// -------------------------------------------------------------------------------------------------------------------
// plans
// -------------------------------------------------------------------------------------------------------------------

/**
 * An operation that came to what is wrapped: its number, its name, what it does (`read`, `write`, `sync`, or `change`
 * something else such as a name or a lease), and the run or the path that it is about.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = Plan.Operation

/**
 * When which fault comes.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule = Plan.Rule

/**
 * A fault at the `k`th operation, from 1, of those that it can come to, and that `of` picks; and at those that follow, if it
 * comes more than once (`times`).
 *
 * @category plans
 * @since 0.1.0
 */
export const at = (
  k: number,
  fault: Fault,
  options: {
    readonly of?: ((operation: Operation) => boolean) | undefined
    readonly times?: number | undefined
  } = {}
): Rule => {
  Given.refuse("Faults.at", [
    ...Given.problemOf("k", k, Given.aCount(1)),
    ...Given.problemOf("fault", fault, aFault),
    ...Given.problemsOf<typeof options>(options, {
      of: Given.optional(Given.aFunction),
      times: Given.optional(Given.aLimit(1))
    })
  ])
  return { _tag: "At", fault, at: k, times: options.times ?? 1, of: options.of }
}

/**
 * A fault at every operation that it can come to, and that `of` picks.
 *
 * @category plans
 * @since 0.1.0
 */
export const always = (
  fault: Fault,
  options: { readonly of?: ((operation: Operation) => boolean) | undefined } = {}
): Rule => {
  Given.refuse("Faults.always", [
    ...Given.problemOf("fault", fault, aFault),
    ...Given.problemsOf<typeof options>(options, { of: Given.optional(Given.aFunction) })
  ])
  return at(1, fault, { of: options.of, times: Number.POSITIVE_INFINITY })
}

/**
 * Faults as a seed decides: each operation has one with the probability `rate` (0 to 1), one of `faults` that it can have.
 * The same seed and the same operations give the same faults.
 *
 * @category plans
 * @since 0.1.0
 */
export const seeded = (
  seed: number,
  options: {
    readonly rate: number
    readonly faults: ReadonlyArray<Fault>
    readonly of?: ((operation: Operation) => boolean) | undefined
  }
): Rule => {
  Given.refuse("Faults.seeded", [
    ...Given.problemOf("seed", seed, Given.kind("a number", Number.isFinite)),
    ...Given.problemsOf<typeof options>(options, {
      rate: Given.aShare,
      faults: Given.kind(
        "a list of faults, and not empty",
        (value) => Array.isArray(value) && value.length > 0 && value.every(aFault.fits)
      ),
      of: Given.optional(Given.aFunction)
    })
  ])
  return { _tag: "Seeded", seed, rate: options.rate, faults: options.faults, of: options.of }
}

// -------------------------------------------------------------------------------------------------------------------
// what is wrapped
// -------------------------------------------------------------------------------------------------------------------

/**
 * A fault that came to an operation.
 *
 * @category models
 * @since 0.1.0
 */
export interface Injected {
  readonly operation: Operation
  readonly fault: Fault
}

/**
 * Puts faults in front of stores and file systems. All that one of them wraps counts as one process: its operations are
 * numbered together, and a crash ends all of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  /** The store, with faults. Changes that it tells of are told as they come. */
  readonly store: <E, R>(inner: Layer.Layer<Store, E, R>) => Layer.Layer<Store, E, R>
  /** The file system, with faults. */
  readonly fileSystem: <E, R>(
    inner: Layer.Layer<FileSystem.FileSystem, E, R>
  ) => Layer.Layer<FileSystem.FileSystem, E, R>
  /** The operations so far. */
  readonly operations: ReadonlyArray<Operation>
  /** The faults so far. */
  readonly injected: ReadonlyArray<Injected>
  /** Another plan from now on, whose counting begins anew. With none, nothing goes wrong any more. */
  readonly use: (rules: ReadonlyArray<Rule>) => void
  /** Lets the process be gone now. */
  readonly crash: () => void
  /** Completes when the process is gone. */
  readonly crashed: Effect.Effect<void>
}

/**
 * Faults by a plan. `onCrash` is called in the step in which a crash happens: it may cut the power of the disk that is
 * under what is wrapped.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  rules: ReadonlyArray<Rule>,
  options: { readonly onCrash?: (() => void) | undefined } = {}
): Faults => {
  Given.refuse("Faults.make", [
    ...problemsOfRules(rules),
    ...Given.problemsOf<typeof options>(options, { onCrash: Given.optional(Given.aFunction) })
  ])
  const injector = Injector.make(rules, options.onCrash ?? (() => {}))
  return {
    store: (inner) =>
      Layer.effect(
        Store,
        Effect.map(Store, (store) => wrapStore(store, injector))
      ).pipe(Layer.provide(inner)),
    fileSystem: (inner) =>
      Layer.effect(
        FileSystem.FileSystem,
        Effect.map(FileSystem.FileSystem, (fs) => wrapFileSystem(fs, injector))
      ).pipe(Layer.provide(inner)),
    operations: injector.operations,
    injected: injector.injected,
    use: (next) => {
      Given.refuse("Faults: use", problemsOfRules(next))
      injector.use(next)
    },
    crash: injector.crash,
    crashed: injector.crashed
  }
}

const problemsOfRules = (rules: unknown): ReadonlyArray<string> =>
  Array.isArray(rules)
    ? rules.flatMap((one, index) => Given.problemOf(`rules[${index}]`, one, rule))
    : Given.problemOf("rules", rules, Given.kind("a list of rules", Array.isArray))
