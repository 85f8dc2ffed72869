/**
 * What a store has to offer so that the conformance suite can be run on it.
 *
 * @since 0.1.0
 */
import type * as Arbitrary from "effect/Arbitrary"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Store } from "@waymark/core/Store"

/**
 * Something that not every store, or not every test set-up, can do: how it is done, or the reason why it is not. The
 * checks that need it are skipped then, and the report shows the reason.
 *
 * @category models
 * @since 0.1.0
 */
export type Capability<A> = A | { readonly missing: string }

/**
 * What a store, and the set-up of its tests, can do. Each has to be said: a store that cannot do something says why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities<Place> {
  /** Whether several instances may be open on one place at once. */
  readonly several: Capability<true>

  /** Whether what was stored is found by an instance that is opened after all others were closed. */
  readonly reopen: Capability<true>

  /**
   * Cuts the power: what is not durable is gone, every open instance is dead, and its operations never come back.
   * The next instance that is opened finds what was durable.
   */
  readonly crash: Capability<(place: Place) => Effect.Effect<void, unknown>>

  /**
   * Freezes the owner of this name until its leases have lapsed, then lets it go on: others may take its runs over from
   * now on, and it does not know.
   */
  readonly lapse: Capability<(place: Place, owner: string) => Effect.Effect<void, unknown>>

  /**
   * From now on writing to this place fails (a full disk, say), or works again. When it works again, operations that
   * come after must succeed without anything being opened anew.
   */
  readonly failWrites: Capability<(place: Place, failing: boolean) => Effect.Effect<void, unknown>>

  /** How long a lease lasts that nobody keeps alive, in milliseconds: short, since a check waits three times as long. */
  readonly leaseMillis: Capability<number>

  /** Makes of a place, on which nothing is open, what a version would have left that writes a newer format. */
  readonly newerFormat: Capability<(place: Place) => Effect.Effect<void, unknown>>
}

/**
 * How the suite gets at a store.
 *
 * A *place* is where stored things live: a directory, a database, a disk in memory. Every check gets a fresh one.
 * Instances opened on one place share what is stored there; each one stands for a process of its own, with its own name
 * for `owner`. Without a place, each instance is a store of its own.
 *
 * The checks run in real time: a store may poll, and keep its leases alive, by the clock.
 *
 * @category models
 * @since 0.1.0
 */
export interface Harness<Place> {
  /** A fresh, empty place, removed with the scope. */
  readonly place?: Effect.Effect<Place, unknown, Scope.Scope> | undefined

  /** An instance, on a place if there is one. Closing its scope closes it in good order. */
  readonly layer:
    | Layer.Layer<Store, unknown>
    | ((place: Place) => Layer.Layer<Store, unknown> | Effect.Effect<Store["Service"], unknown, Scope.Scope>)

  /** What the store can do, and what it cannot, and why. */
  readonly capabilities: Capabilities<Place>

  /** How long a check may take, in milliseconds; 30,000 unless said otherwise. */
  readonly timeout?: number | undefined

  /**
   * For the check that compares random sequences of operations with a model: how many (100 unless said otherwise), the
   * seed, or the replay token that a failure reported.
   */
  readonly property?: Arbitrary.CheckOptions | undefined
}

/**
 * The capabilities that a check may need.
 *
 * @category models
 * @since 0.1.0
 */
export type Need = keyof Capabilities<unknown>

/**
 * A store does not keep a promise of the port.
 *
 * @category errors
 * @since 0.1.0
 */
export class CheckFailed extends Schema.TaggedError<CheckFailed>()("CheckFailed", {
  /** The name of the check. */
  check: Schema.String,
  /** What was found. */
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.check}\n${this.detail}`
  }
}

/**
 * One promise of the port and how to see whether a store keeps it. Names are unique and stay the same between
 * versions, apart from checks that are added.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  /** The operation of the port, or the theme, that it belongs to. */
  readonly group: string
  readonly needs: ReadonlyArray<Need>
  /** How many times the harness's timeout it may take. */
  readonly weight: number
  /** Runs the check on a fresh place. The harness has to have what the check needs. */
  readonly run: <Place>(harness: Harness<Place>) => Effect.Effect<void, CheckFailed>
}

/**
 * Why a check cannot be run with a harness: the reason given for the first capability that is missing.
 *
 * @category accessors
 * @since 0.1.0
 */
export const missing = <Place>(harness: Harness<Place>, check: Check): string | undefined => {
  for (const need of check.needs) {
    const capability = harness.capabilities[need]
    if (typeof capability === "object") return capability.missing
  }
  return undefined
}

/**
 * How long a check of weight 1 may take, in milliseconds.
 *
 * @category accessors
 * @since 0.1.0
 */
export const timeoutOf = <Place>(harness: Harness<Place>): number => harness.timeout ?? 30_000
