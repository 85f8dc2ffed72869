/**
 * What the compiler infers and rejects in migrations. Each rejected case stands alone: taking away what is wrong makes it
 * compile. Type-checked with the tests, never executed.
 */
import type { Verdict } from "@waymark/core/Compatibility"
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import type { Store, StoreError } from "@waymark/core/Store"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Equal<A, B>): void => undefined

const Note = Schema.Struct({ text: Schema.String })

const V1 = { version: 1, state: { notes: State.list(Schema.String), tries: State.counter() } } as const
const V2 = { version: 2, state: { notes: State.list(Note), tries: State.counter() } } as const
const V3 = {
  version: 3,
  state: { notes: State.list(Note), verdict: State.optional(Schema.String) },
  input: { id: Schema.Int }
} as const

// ---------------------------------------------------------------------------------------------------------------
// What is inferred
// ---------------------------------------------------------------------------------------------------------------

const one = Migration.make({
  from: V1,
  to: V2,
  state: (old, input) => {
    same<typeof old, { readonly notes: ReadonlyArray<string>; readonly tries: number }>(true)
    same<typeof input, undefined>(true)
    return { notes: old.notes.map((text) => ({ text })), tries: old.tries }
  },
  update: (old) => {
    same<typeof old, { readonly notes?: ReadonlyArray<string>; readonly tries?: number }>(true)
    return { ...old, notes: old.notes?.map((text) => ({ text })) ?? [] }
  },
  nodes: { gather: "collect" }
})
same<(typeof one)["from"]["version"], 1>(true)
same<(typeof one)["to"]["version"], 2>(true)
same<(typeof one)["nodes"][string], "collect">(true)

const two = Migration.make({
  from: { ...V2, input: Schema.Struct({ id: Schema.String }) },
  to: V3,
  input: (old) => {
    same<typeof old, { readonly id: string }>(true)
    return { id: Number(old.id) }
  },
  state: ({ notes }, input) => {
    same<typeof input, { readonly id: string }>(true)
    return { notes, verdict: notes.length > 0 ? input.id : undefined }
  }
})

const nodes = { collect: Node.make({ to: ["collect", "end"] }) }

const Triage = Flow.make("triage", { ...V3, start: "collect", nodes, migrations: [one, two] })
same<(typeof Triage)["migrations"], ReadonlyArray<Migration.Any>>(true)
const any: Flow.Any = Triage
void any

/** Who checks needs the store and the handlers, and gets a verdict on each run. */
const checked = Runs.checkCompatibility(Triage)
same<typeof checked, Stream.Stream<Verdict, StoreError, Store | Flow.Handlers<"triage">>>(true)

/** A flow is a version; without a number that the compiler knows, the definition is checked when it is made. */
Migration.make({
  from: Triage,
  to: { version: 4 },
  state: ({ notes }, { id }) => (id > notes.length ? {} : {})
})

/** A migration that changes no input need not say so. */
Migration.make({ from: V3, to: { ...V3, version: 4 }, state: (old) => old })

/** Without channels. */
Migration.make({ from: { version: 1 }, to: { version: 2 }, state: () => ({}) })
Flow.make("empty", {
  version: 2,
  input: Schema.Void,
  start: "collect",
  nodes,
  migrations: [Migration.make({ from: { version: 1 }, to: { version: 2 }, state: () => ({}) })]
})

/** Given in a list that is not a tuple, they are checked when the flow is made. */
const some: ReadonlyArray<Migration.Any> = [one]
Flow.make("later", { ...V2, input: Schema.Void, start: "collect", nodes, migrations: some })

// ---------------------------------------------------------------------------------------------------------------
// What is rejected: one migration
// ---------------------------------------------------------------------------------------------------------------

// @ts-expect-error a channel is missing
Migration.make({ from: V1, to: V2, state: ({ tries }) => ({ tries }) })
// @ts-expect-error a channel of another type
Migration.make({ from: V1, to: V2, state: (old) => old })
// @ts-expect-error a channel that is not there any more
Migration.make({ from: V1, to: V2, state: ({ tries }) => ({ tries, notes: [], typo: 1 }) })
// @ts-expect-error a channel that was not there
Migration.make({ from: V1, to: V2, state: ({ other }) => ({ tries: other, notes: [] }) })
// @ts-expect-error an update of another type
Migration.make({ from: V1, to: V2, state: () => ({ tries: 1, notes: [] }), update: (old) => old })
// @ts-expect-error the input becomes another, and it is not said how
Migration.make({ from: { ...V2, input: Schema.String }, to: V3, state: () => ({ notes: [], verdict: "" }) })
Migration.make({
  from: { ...V2, input: Schema.String },
  to: V3,
  state: () => ({ notes: [], verdict: "" }),
  // @ts-expect-error a wrong input
  input: (old) => ({ id: old })
})

// ---------------------------------------------------------------------------------------------------------------
// What is rejected: the chain
// ---------------------------------------------------------------------------------------------------------------

const rest = { ...V3, start: "collect", nodes } as const

// @ts-expect-error the last one does not lead to the flow's version
Flow.make("x", { ...rest, migrations: [one] })
// @ts-expect-error in the wrong order
Flow.make("x", { ...rest, migrations: [two, one] })
// @ts-expect-error one of them twice
Flow.make("x", { ...rest, migrations: [one, one, two] })
// @ts-expect-error what they lead to is not what the flow has
Flow.make("x", { ...rest, state: V2.state, migrations: [one, two] })
// @ts-expect-error nor is the input
Flow.make("x", { ...rest, input: Schema.String, migrations: [one, two] })
Flow.make("x", {
  ...V2,
  input: Schema.Void,
  start: "gather",
  nodes: { gather: Node.make({ to: ["end"] }) },
  // @ts-expect-error a new name that is not that of a node
  migrations: [one]
})
const other = Migration.make({
  from: { version: 2, state: { notes: State.list(Schema.String) } },
  to: V3,
  state: () => ({ notes: [], verdict: undefined })
})
// @ts-expect-error what the first one gives is not what the second one takes
Flow.make("x", { ...rest, migrations: [one, other] })

// @ts-expect-error a channel of a version that has none
Migration.make({ from: { version: 1 }, to: { version: 2 }, state: () => ({ typo: 1 }) })
