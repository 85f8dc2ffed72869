/**
 * Migrations as a flow's definition sees them: what they lead from and to, and whether they make a chain.
 *
 * What they do is not here: a flow without migrations does not carry the code for it.
 */
import type * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { Body } from "../../Event.ts"
import type * as Flow from "../../Flow.ts"
import type { RunState } from "../../RunState.ts"
import type * as State from "../../State.ts"
import type { Difference } from "./difference.ts"
import type { Invalid } from "./invalid.ts"
import type { Problem } from "./problem.ts"

/**
 * What a migration has to know of a version of a flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Version<
  out V extends number,
  out C extends State.Channels,
  out I extends Schema.Codec<unknown, unknown> | undefined
> {
  readonly version: V
  readonly state: C
  /** The schema of the input; `undefined` if the migration does not look at the input. */
  readonly input: I
}

/**
 * @category models
 * @since 0.1.0
 */
export type AnyVersion = Version<number, State.Channels, Schema.Codec<any, any> | undefined>

/**
 * Brings runs from one version of a flow to the next.
 *
 * @category models
 * @since 0.1.0
 */
export interface Migration<
  out From extends AnyVersion,
  out To extends AnyVersion,
  out Names extends string = string
> {
  readonly from: From
  readonly to: To
  /** The new names of nodes that were renamed, by their old ones. */
  readonly nodes: { readonly [node: string]: Names }
  /** @internal */
  readonly "~functions": Functions
  /** @internal */
  readonly "~engine": Engine
}

/**
 * Any migration.
 *
 * @category models
 * @since 0.1.0
 */
export type Any = Migration<AnyVersion, AnyVersion>

/** What the author of a migration wrote; its types are checked where it is made. */
export interface Functions {
  readonly state: (old: any, input: any) => { readonly [channel: string]: unknown }
  readonly input: ((old: any) => unknown) | undefined
  readonly update: ((old: any) => { readonly [channel: string]: unknown }) | undefined
}

/** What is done with the migrations of a flow. It comes with them, so that it is there only where some are. */
export interface Engine {
  /** What is wrong with the chain of a flow's migrations. */
  readonly check: (flow: Flow.Any) => ReadonlyArray<Problem>
  /** The event that brings a run to the flow's version, or why there is none. */
  readonly migrate: (
    flow: Flow.Any,
    state: RunState
  ) => Effect.Effect<Result.Result<Extract<Body, { kind: "migrated" }>, ReadonlyArray<Difference>>>
}

// -------------------------------------------------------------------------------------------------------------------
// types
// -------------------------------------------------------------------------------------------------------------------

/** Whether two types are the same, as far as values of them can tell. */
export type Same<A, B> = [A, B] extends [B, A] ? true : false

type Content<C extends State.Channels> = {
  readonly [K in keyof C]: readonly [C[K]["~value"], C[K]["~update"]]
}

type SameVersion<A extends number, B extends number> = number extends A | B ? true : Same<A, B>

type SameInput<A, B> = A extends { readonly Type: infer X }
  ? B extends { readonly Type: infer Y }
    ? Same<X, Y>
    : true
  : true

/** The migration itself if what follows it is what it leads to, else what is wrong, as a text that the compiler shows. */
type CheckLink<M extends Any, Next extends AnyVersion> =
  SameVersion<M["to"]["version"], Next["version"]> extends true
    ? Same<Content<M["to"]["state"]>, Content<Next["state"]>> extends true
      ? SameInput<M["to"]["input"], Next["input"]> extends true
        ? M
        : Invalid<`the input that this migration leads to is not that of version ${Next["version"]}`>
      : Invalid<`the channels that this migration leads to are not those of version ${Next["version"]}`>
    : Invalid<`this migration leads to version ${M["to"]["version"]}; what follows it is version ${Next["version"]}`>

type CheckLast<M extends Any, Here extends AnyVersion, Node extends string> = [
  Exclude<M["nodes"][string], Node>
] extends [never]
  ? CheckLink<M, Here>
  : Invalid<`"${Exclude<M["nodes"][string], Node>}" is not a node of this flow`>

/** The migrations themselves if each leads to the next and the last one to the flow. */
export type CheckChain<
  M extends ReadonlyArray<Any>,
  Here extends AnyVersion,
  Node extends string
> = M extends readonly [infer A extends Any, infer B extends Any, ...infer Rest extends ReadonlyArray<Any>]
  ? readonly [CheckLink<A, B["from"]>, ...CheckChain<readonly [B, ...Rest], Here, Node>]
  : M extends readonly [infer A extends Any]
    ? readonly [CheckLast<A, Here, Node>]
    : M
