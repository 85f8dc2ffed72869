/**
 * What a check works with: instances on a fresh place, power cuts, and assertions that say what was found.
 */
import type * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Context from "effect/Context"
import { Store } from "@waymark/core/Store"
import type { Check, Harness, Need } from "../../StoreHarness.ts"
import { CheckFailed, timeoutOf } from "../../StoreHarness.ts"
import { refuseUnfit } from "./harness.ts"

export type Instance = Store["Service"]

/** Something is not as the port promises. */
export class Violation extends Schema.TaggedError<Violation>()("Violation", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

export interface Trial {
  /** One more instance on the place. */
  readonly open: Effect.Effect<Instance, unknown>
  /** Closes an instance in good order. */
  readonly close: (instance: Instance) => Effect.Effect<void, Violation>
  /** Cuts the power; all instances are dead. */
  readonly crash: Effect.Effect<void, unknown>
  readonly lapse: (owner: string) => Effect.Effect<void, unknown>
  readonly failWrites: (failing: boolean) => Effect.Effect<void, unknown>
  /** Makes of the place what a newer version would have left. */
  readonly newerFormat: Effect.Effect<void, unknown>
  readonly leaseMillis: number
  readonly property: Arbitrary.CheckOptions
  /**
   * Repeats what may take a moment to come true, such as one instance learning what another one wrote. What fails in the
   * end is the failure of the last try.
   */
  readonly eventually: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** The same on a fresh place, for checks that need many. */
  readonly afresh: <A, E>(
    body: (trial: Trial) => Effect.Effect<A, E, Scope.Scope>
  ) => Effect.Effect<A, unknown>
}

const show = (value: unknown): string => {
  const text = typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value))
  return text.length > 600 ? `${text.slice(0, 500)}… (${text.length} characters)` : text
}

/** Fails the check. */
export const violated = (detail: string): Effect.Effect<never, Violation> =>
  Effect.fail(new Violation({ detail }))

/** `actual` must be `expected`, compared by structure. */
export const same = <A>(what: string, actual: A, expected: A): Effect.Effect<void, Violation> =>
  Equal.equals(actual, expected)
    ? Effect.void
    : violated(`${what}\n  expected ${show(expected)}\n  found    ${show(actual)}`)

export const holds = (what: string, condition: boolean): Effect.Effect<void, Violation> =>
  condition ? Effect.void : violated(what)

/** `effect` must fail with an error of this tag, which is returned. */
export const refused = <A, E extends { readonly _tag: string }, const Tag extends E["_tag"]>(
  what: string,
  tag: Tag,
  effect: Effect.Effect<A, E>
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, Violation> =>
  Effect.matchEffect(effect, {
    onSuccess: (value) => violated(`${what}: ${tag} was expected, it succeeded with ${show(value)}`),
    onFailure: (error) =>
      error._tag === tag
        ? Effect.succeed(error as Extract<E, { readonly _tag: Tag }>)
        : violated(`${what}: ${tag} was expected, it failed with ${error._tag} (${messageOf(error)})`)
  })

const messageOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error)

/** Waits for something that may hang for ever, and leaves it alone if it does. */
const within = <A, E>(
  millis: number,
  what: string,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, E | Violation> =>
  Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) =>
    Fiber.join(fiber).pipe(
      Effect.timeoutOrElse({
        duration: millis,
        orElse: () => {
          fiber.interruptUnsafe()
          return violated(`${what} did not come back within ${millis} ms`)
        }
      }),
      Effect.onInterrupt(() => Effect.sync(() => fiber.interruptUnsafe()))
    )
  )

const provided = <A>(need: Need, value: A): Exclude<A, { readonly missing: string }> => {
  if (typeof value === "object" && value !== null && "missing" in value) {
    throw new TypeError(
      `this check needs "${need}", which the harness does not have (${String(value.missing)})`
    )
  }
  return value as Exclude<A, { readonly missing: string }>
}

/** Runs `body` with a trial on a fresh place, and closes everything it opened. */
const onFreshPlace = <Place, A, E>(
  harness: Harness<Place>,
  body: (trial: Trial) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      // Where there is no place, nothing is told one.
      const place = harness.place === undefined ? (undefined as Place) : yield* harness.place
      const { capabilities } = harness
      const patience = timeoutOf(harness) / 3
      const live = new Map<Instance, Scope.Closeable>()
      const dead: Array<Scope.Closeable> = []

      const closeScope = (scope: Scope.Closeable) =>
        within(patience, "closing an instance", Scope.close(scope, Exit.void))

      const trial: Trial = {
        open: Effect.gen(function* () {
          const scope = yield* Scope.make()
          const opening = typeof harness.layer === "function" ? harness.layer(place) : harness.layer
          const instance = yield* Layer.isLayer(opening)
            ? Effect.map(
                Layer.buildWithMemoMap(
                  opening as Layer.Layer<Store, unknown>,
                  Layer.makeMemoMapUnsafe(),
                  scope
                ),
                Context.get(Store)
              )
            : Scope.provide(opening as Effect.Effect<Instance, unknown, Scope.Scope>, scope)
          live.set(instance, scope)
          return instance
        }),
        close: (instance) =>
          Effect.suspend(() => {
            const scope = live.get(instance)
            live.delete(instance)
            return scope === undefined ? Effect.void : closeScope(scope)
          }),
        crash: Effect.suspend(() => {
          dead.push(...live.values())
          live.clear()
          return provided("crash", capabilities.crash)(place)
        }),
        lapse: (owner) => Effect.suspend(() => provided("lapse", capabilities.lapse)(place, owner)),
        failWrites: (failing) =>
          Effect.suspend(() => provided("failWrites", capabilities.failWrites)(place, failing)),
        newerFormat: Effect.suspend(() => provided("newerFormat", capabilities.newerFormat)(place)),
        get leaseMillis() {
          return provided("leaseMillis", capabilities.leaseMillis)
        },
        property: { runs: 100, ...harness.property },
        eventually: (effect) =>
          Effect.retry(effect, Schedule.upTo(Schedule.spaced(10), { duration: patience })),
        afresh: (nested) => onFreshPlace(harness, nested)
      }

      return yield* Effect.onExit(Effect.scoped(body(trial)), (exit) =>
        Effect.gen(function* () {
          // What is left of a dead process may hang for ever: nobody waits for it.
          for (const scope of dead) yield* Effect.forkDetach(Scope.close(scope, Exit.void))
          for (const scope of [...live.values()].reverse()) {
            // A check that failed has said what is wrong; an instance that does not close either would hide it.
            yield* Exit.isSuccess(exit) ? closeScope(scope) : Effect.ignore(closeScope(scope))
          }
        })
      )
    })
  )

/** What went wrong: the violations if there are any, else everything that is known. */
export const describeCause = (cause: Cause.Cause<unknown>): string => {
  const violations = cause.reasons.flatMap((reason) =>
    reason._tag === "Fail" && hasTag(reason.error, "Violation") ? [messageOf(reason.error)] : []
  )
  return violations.length > 0 ? violations.join("\n") : Cause.pretty(cause)
}

const hasTag = (error: unknown, tag: string): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === tag

/** Makes a check of a body. Its name is the group and the promise. */
export const check = (
  group: string,
  promise: string,
  needs: ReadonlyArray<Need>,
  body: (trial: Trial) => Effect.Effect<unknown, unknown, Scope.Scope>,
  weight = 1
): Check => {
  const name = `${group}: ${promise}`
  return {
    name,
    group,
    needs,
    weight,
    run: (harness) =>
      Effect.suspend(() => {
        refuseUnfit(`the check ${JSON.stringify(name)}`, harness)
        return within(timeoutOf(harness) * weight, "the check", onFreshPlace(harness, body))
      }).pipe(
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.interrupt
            : Effect.fail(new CheckFailed({ check: name, detail: describeCause(cause) }))
        ),
        Effect.asVoid
      )
  }
}
