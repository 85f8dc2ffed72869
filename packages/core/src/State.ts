/**
 * The state of a run is a set of channels. A channel has a schema and a rule by which updates change it.
 *
 * @since 0.1.0
 */
import type * as Combiner from "effect/Combiner"
import * as Reducer from "effect/Reducer"
import * as Schema from "effect/Schema"

/**
 * How updates change a channel.
 *
 * - `value`: an update replaces the value
 * - `optional`: an update sets the value, `undefined` clears it
 * - `list`: the items of an update follow those that are there
 * - `record`: the entries of an update are added, or replace those of the same key
 * - `counter`: an update is added
 * - `reduce`: an update is combined with the value by a reducer
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "value" | "optional" | "list" | "record" | "counter" | "reduce"

/**
 * One channel of a flow's state.
 *
 * - `A`: what handlers see in `state`
 * - `U`: what an update gives
 * - `schema`: of the value (`value`, `optional`, `counter`, `reduce`), of one item (`list`), of one entry's value (`record`)
 * - `initial`: what the channel holds when a run starts, decoded
 * - `reducer`: present for `reduce` and only there
 *
 * @category models
 * @since 0.1.0
 */
export interface Channel<out A, out U> {
  readonly "~value": A
  readonly "~update": U
  readonly kind: Kind
  readonly schema: Schema.Codec<unknown, unknown>
  readonly initial: A
  readonly reducer: Reducer.Reducer<any> | undefined
}

/**
 * Any channel.
 *
 * @category models
 * @since 0.1.0
 */
export type Any = Channel<any, any>

/**
 * The channels of a flow, by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Channels {
  readonly [channel: string]: Any
}

/**
 * What handlers see of these channels.
 *
 * @category models
 * @since 0.1.0
 */
export type State<C extends Channels> = { readonly [K in keyof C]: C[K]["~value"] }

/**
 * An update of these channels: every key may be left out, no other is allowed.
 *
 * @category models
 * @since 0.1.0
 */
export type Update<C extends Channels> = [keyof C] extends [never]
  ? // To the compiler an empty object type is anything.
    { readonly [channel: string]: never }
  : { readonly [K in keyof C]?: C[K]["~update"] }

const channel = <A, U>(
  kind: Kind,
  schema: Schema.Codec<unknown, unknown>,
  initial: A,
  reducer?: Reducer.Reducer<any>
): Channel<A, U> => ({ kind, schema, initial, reducer }) as unknown as Channel<A, U>

/**
 * A channel whose value an update replaces. It needs a value to start with.
 *
 * @category constructors
 * @since 0.1.0
 */
export const value = <S extends Schema.Codec<unknown, unknown>>(
  schema: S,
  initial: S["Type"]
): Channel<S["Type"], S["Type"]> => channel("value", schema, initial)

/**
 * A channel that may be empty and is so at the start. An update of `undefined` empties it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const optional = <S extends Schema.Codec<unknown, unknown>>(
  schema: S
): Channel<S["Type"] | undefined, S["Type"] | undefined> => channel("optional", schema, undefined)

/**
 * A list that updates append to. The schema is that of one item. An update costs what it appends, not what is there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const list = <S extends Schema.Codec<unknown, unknown>>(
  item: S
): Channel<ReadonlyArray<S["Type"]>, ReadonlyArray<S["Type"]>> => channel("list", item, [])

/**
 * A record that updates merge their entries into. The schema is that of one entry's value.
 *
 * @category constructors
 * @since 0.1.0
 */
export const record = <S extends Schema.Codec<unknown, unknown>>(
  entry: S
): Channel<{ readonly [key: string]: S["Type"] }, { readonly [key: string]: S["Type"] }> =>
  channel("record", entry, {})

/**
 * A number that updates add to. It starts at `initial`, 0 by default.
 *
 * @category constructors
 * @since 0.1.0
 */
export const counter = (initial = 0): Channel<number, number> => channel("counter", Schema.Finite, initial)

/**
 * A channel that updates are combined with, by a `Reducer`, or by a `Combiner` and a value to start with.
 *
 * The combining function must be pure: it runs again when a run is recovered.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reduce: {
  <S extends Schema.Codec<unknown, unknown>>(
    schema: S,
    reducer: Reducer.Reducer<S["Type"]>
  ): Channel<S["Type"], S["Type"]>
  <S extends Schema.Codec<unknown, unknown>>(
    schema: S,
    combiner: Combiner.Combiner<S["Type"]>,
    initial: S["Type"]
  ): Channel<S["Type"], S["Type"]>
} = <S extends Schema.Codec<unknown, unknown>>(
  schema: S,
  combiner: Combiner.Combiner<S["Type"]> | Reducer.Reducer<S["Type"]>,
  ...rest: ReadonlyArray<S["Type"]>
): Channel<S["Type"], S["Type"]> => {
  const reducer =
    rest.length === 0 && "initialValue" in combiner ? combiner : Reducer.make<any>(combiner.combine, rest[0])
  return channel("reduce", schema, reducer.initialValue, reducer)
}
