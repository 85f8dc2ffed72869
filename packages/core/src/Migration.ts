/**
 * Migrations: how the unfinished runs of an earlier version of a flow are continued by a later one.
 *
 * A run belongs to the version of the flow that started it. Another version continues it only by way of migrations that
 * the flow declares, one from each version to the next; a run for which there are none is paused as incompatible.
 *
 * ```ts
 * import * as Flow from "@waymark/core/Flow"
 * import * as Migration from "@waymark/core/Migration"
 * import * as Node from "@waymark/core/Node"
 * import * as State from "@waymark/core/State"
 * import * as Schema from "effect/Schema"
 *
 * const Note = Schema.Struct({ text: Schema.String, by: Schema.String })
 *
 * // The channels of version 1 stay here as long as there may be runs of it.
 * const V1 = { version: 1, state: { notes: State.list(Schema.String) } } as const
 * const V2 = { version: 2, state: { notes: State.list(Note) } } as const
 *
 * export const Triage = Flow.make("triage", {
 *   ...V2,
 *   migrations: [
 *     Migration.make({
 *       from: V1,
 *       to: V2,
 *       state: ({ notes }) => ({ notes: notes.map((text) => ({ text, by: "unknown" })) }),
 *       nodes: { gather: "collect" }
 *     })
 *   ],
 *   input: { ticket: Schema.String },
 *   start: "collect",
 *   nodes: { collect: Node.make({ to: ["collect", "end"] }) }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import { type Fields, inputOf, type InputOf } from "./internal/definition/input.ts"
import type { Invalid } from "./internal/definition/invalid.ts"
import type * as Migrations from "./internal/definition/migration.ts"
import { engine } from "./internal/engine/migrate.ts"
import type * as State from "./State.ts"

export type {
  /**
   * Any migration.
   *
   * @category models
   * @since 0.1.0
   */
  Any,
  /**
   * Any version.
   *
   * @category models
   * @since 0.1.0
   */
  AnyVersion,
  /**
   * Brings runs from one version of a flow to the next.
   *
   * @category models
   * @since 0.1.0
   */
  Migration,
  /**
   * What a migration has to know of a version of a flow.
   *
   * @category models
   * @since 0.1.0
   */
  Version
} from "./internal/definition/migration.ts"

type Codec = Schema.Codec<unknown, unknown>

type SchemaOf<I> = I extends undefined ? undefined : InputOf<I>

type TypeOf<I> = I extends { readonly Type: infer A } ? A : undefined

/** How the input changes; it has to be said if the types differ. */
type InputChange<I1, I2> = I1 extends Codec
  ? I2 extends Codec
    ? Migrations.Same<I1["Type"], I2["Type"]> extends true
      ? { readonly input?: (old: I1["Type"]) => I2["Type"] }
      : { readonly input: (old: I1["Type"]) => I2["Type"] }
    : unknown
  : unknown

/** The new state; to the compiler an empty object type would be anything. */
type NewState<Given, C extends State.Channels> = [Exclude<keyof Given, keyof C>] extends [never]
  ? State.State<C>
  : {
      readonly [
        K in Exclude<keyof Given, keyof C>
      ]: Invalid<`"${K & string}" is not a channel of the new version`>
    }

/**
 * A version as it is given: a flow is one, and so is what is kept of a flow that is gone.
 *
 * - `state`: its channels (none by default)
 * - `input`: the schema of its input, or the fields of a struct, if the migration looks at the input or changes it
 *
 * @category models
 * @since 0.1.0
 */
export interface Given<V extends number, C extends State.Channels, I extends Codec | Fields | undefined> {
  readonly version: V
  readonly state?: C
  readonly input?: I
}

/**
 * Brings runs from the version `from` to the version `to`.
 *
 * - `state`: the new content of the channels, from the old one (and the old input, if `from` has its schema). It has to be
 *   pure: it is called again if the process dies
 * - `input`: the new input from the old one; both schemas have to be given
 * - `nodes`: the new names of nodes that were renamed, by their old names: visits that are open there go on, and what they
 *   called stays done. A run that is in a node which has neither kept its name nor got another cannot be migrated
 * - `update`: for runs whose branches are open: what a branch has changed of the new state, from what it has changed of
 *   the old. It is called for each update that a visit in the branch made
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const V1 extends number,
  const V2 extends number,
  const After,
  C1 extends State.Channels = {},
  C2 extends State.Channels = {},
  I1 extends Codec | Fields | undefined = undefined,
  I2 extends Codec | Fields | undefined = undefined,
  const Names extends string = never
>(
  options: {
    readonly from: Given<V1, C1, I1>
    readonly to: Given<V2, C2, I2>
    readonly state: (
      old: State.State<NoInfer<C1>>,
      input: TypeOf<SchemaOf<NoInfer<I1>>>
    ) => After & NewState<After, NoInfer<C2>>
    readonly update?: (old: State.Update<NoInfer<C1>>) => State.Update<NoInfer<C2>>
    readonly nodes?: { readonly [node: string]: Names }
  } & InputChange<SchemaOf<I1>, SchemaOf<I2>>
  // Where it stands in a flow's list, what is left out here would otherwise be taken for what the list allows.
): Migrations.Migration<
  Migrations.Version<V1, NoInfer<C1>, SchemaOf<NoInfer<I1>>>,
  Migrations.Version<V2, NoInfer<C2>, SchemaOf<NoInfer<I2>>>,
  NoInfer<Names>
> => {
  const { from, nodes, state, to, update } = options
  const { input } = options as { readonly input?: Migrations.Functions["input"] }
  const version = (given: Given<number, State.Channels, Codec | Fields | undefined>): any => ({
    version: given.version,
    state: given.state ?? {},
    input: given.input && inputOf(given.input)
  })
  return {
    from: version(from),
    to: version(to),
    nodes: nodes ?? {},
    "~functions": { state: state as Migrations.Functions["state"], input, update: update as any },
    "~engine": engine
  }
}
