/**
 * Journals that were recorded, as a store that can be read and not written: to load, verify and replay today what an
 * earlier release, or an earlier version of your flows, has written.
 *
 * ```ts
 * import * as Flow from "@waymark/core/Flow"
 * import * as Node from "@waymark/core/Node"
 * import * as Runs from "@waymark/core/Runs"
 * import * as RecordedStore from "@waymark/testing/RecordedStore"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Schema from "effect/Schema"
 *
 * const Greet = Flow.make("greet", {
 *   input: Schema.String,
 *   start: "greet",
 *   nodes: { greet: Node.make({ to: ["end"] }) }
 * })
 * const handlers = Greet.toLayer({ greet: ({ next }) => Effect.succeed(next.end()) })
 *
 * // The lines of a file that you recorded.
 * export const replayed = (lines: ReadonlyArray<string>) =>
 *   Effect.gen(function*() {
 *     yield* Runs.verify("greet-1")
 *     return yield* Runs.replay(Runs.ref(Greet, "greet-1"))
 *   }).pipe(
 *     Effect.provide(handlers),
 *     Effect.provide(Runs.layer.pipe(Layer.provideMerge(RecordedStore.layer(lines))))
 *   )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Hasher } from "@waymark/core/Hasher"
import * as Journal from "@waymark/core/Journal"
import * as RunIndex from "@waymark/core/RunIndex"
import * as RunInfo from "@waymark/core/RunInfo"
import { RunNotFound, Store, StoreError } from "@waymark/core/Store"
import * as Given from "./internal/given.ts"
import { rowsOf } from "./internal/rows.ts"

interface Recorded {
  readonly entries: Array<Journal.Entry>
  info: RunInfo.RunInfo
  head: Journal.Head
}

const denied = (operation: string): Effect.Effect<never, StoreError> =>
  Effect.fail(
    new StoreError({
      operation,
      reason: { _tag: "Invalid", detail: "this store holds recorded journals, which are not written to" }
    })
  )

const invalidCursor = (operation: string, cursor: string | undefined): Effect.Effect<never, StoreError> =>
  Effect.fail(
    new StoreError({
      operation,
      reason: { _tag: "Invalid", detail: `${JSON.stringify(cursor)} is not a cursor of this store` }
    })
  )

/** A text, too, is iterable: by its characters. */
const aListOfLines = Given.kind(
  "the lines of journals, one by one",
  (value) => Given.isObject(value) && typeof Object(value)[Symbol.iterator] === "function"
)

/** Nobody owns a run, and nobody has sent it anything. */
const facts: RunIndex.Facts = { isOwned: () => false, isCommanded: () => false }

/**
 * A store that holds these entries: lines of JSON as a journal stores them, those of one run in order. Empty lines are
 * left out. It fails if a line is no entry.
 *
 * Whether they are a chain is for `Runs.verify` to say.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  lines: Iterable<string>
): Effect.fn.Return<Store["Service"], Journal.CorruptEntry> {
  Given.argument("RecordedStore.make", "lines", lines, aListOfLines)
  const { hash } = yield* Hasher
  const runs = new Map<string, Recorded>()
  const all: Array<Journal.Entry> = []
  for (const line of lines) {
    if (line === "") continue
    const entry = yield* Effect.fromResult(Journal.parse(line))
    const { kind, run, seq } = entry.event
    const known = runs.get(run)
    if (known === undefined && kind !== "created" && kind !== "forked") {
      return yield* new Journal.CorruptEntry({ run, seq, detail: `its journal begins with ${kind}` })
    }
    const info = RunInfo.apply(known?.info, entry.event)
    const head = { seq, hash: hash(line) }
    if (known === undefined) runs.set(run, { entries: [entry], info, head })
    else {
      known.entries.push(entry)
      known.info = info
      known.head = head
    }
    all.push(entry)
  }
  const index = RunIndex.make()
  for (const { info } of runs.values()) index.set(info)

  const withRun = <A>(run: string, f: (recorded: Recorded) => A): Effect.Effect<A, RunNotFound> =>
    Effect.suspend(() => {
      const recorded = runs.get(run)
      return recorded === undefined ? Effect.fail(new RunNotFound({ run })) : Effect.succeed(f(recorded))
    })

  return Store.of({
    owner: "recorded",
    create: () => denied("create"),
    append: () => denied("append"),
    sync: () => denied("sync"),
    acquire: () => denied("acquire"),
    release: () => denied("release"),
    send: () => denied("send"),
    delete: () => denied("delete"),
    setMeta: () => denied("setMeta"),
    putArtifact: () => denied("putArtifact"),
    get: (run) => withRun(run, ({ head, info }) => ({ head, info })),
    read: (run, options = {}) =>
      withRun(run, ({ entries }) => {
        const limit = Math.max(0, options.limit ?? 1000)
        const backwards = options.direction === "backwards"
        const from = options.from ?? (backwards ? Number.POSITIVE_INFINITY : 0)
        const to = options.to ?? (backwards ? 0 : Number.POSITIVE_INFINITY)
        const [low, high] = backwards ? [to, from] : [from, to]
        const found = entries.filter(({ event }) => event.seq >= low && event.seq <= high)
        return (backwards ? found.reverse() : found).slice(0, limit)
      }),
    list: (query) => {
      const page = index.list(query, facts)
      return page === undefined ? invalidCursor("list", query.cursor) : Effect.succeed(page)
    },
    feed: (options) => {
      const cursor = options?.cursor ?? "0"
      const at = cursor === "now" ? all.length : Number(cursor)
      if (!(at >= 0 && at <= all.length)) return invalidCursor("feed", cursor)
      const entries = all.slice(at, at + Math.max(0, options?.limit ?? 1000))
      return Effect.succeed({ entries, cursor: String(at + entries.length) })
    },
    changes: Stream.never,
    changed: (run, seq) =>
      Effect.flatten(withRun(run, ({ head }) => (head.seq > seq ? Effect.void : Effect.never))),
    inbox: (run) => withRun(run, () => []),
    getMeta: () => Effect.succeed(undefined),
    getArtifact: () => Effect.succeed(undefined)
  })
})

/**
 * The same as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (lines: Iterable<string>): Layer.Layer<Store, Journal.CorruptEntry> =>
  Layer.effect(Store, make(lines))

/** All lines of one journal. */
const linesOf = Effect.fnUntraced(function* (store: Store["Service"], run: string) {
  const lines: Array<string> = []
  for (;;) {
    const page = yield* store.read(run, { from: lines.length, limit: 1000 })
    if (page.length === 0) return lines
    for (const { line } of page) lines.push(line)
  }
})

/** What a run rests on, or started: the run that it was forked from, and its children. */
const relativesOf = Effect.fnUntraced(function* (store: Store["Service"], run: string) {
  const { info } = yield* store.get(run)
  const relatives = info.forkOf === undefined ? [] : [info.forkOf.run]
  for (const row of yield* rowsOf(store, { parent: run })) relatives.push(row.run)
  return relatives
})

/**
 * The lines of a run's journal as the store in the context has them, to be kept in a file; and with it those of the run
 * that it was forked from and of the runs that it started, as far as there are any.
 *
 * With `alone: true` those of the run only.
 *
 * @category recording
 * @since 0.1.0
 */
export const record = Effect.fnUntraced(function* (
  run: string,
  options: { readonly alone?: boolean | undefined } = {}
): Effect.fn.Return<ReadonlyArray<string>, StoreError | RunNotFound, Store> {
  Given.refuse("RecordedStore.record", [
    ...Given.problemOf("run", run, Given.kind("the id of a run", Given.aText.fits)),
    ...Given.problemsOf<typeof options>(options, { alone: Given.optional(Given.aBoolean) })
  ])
  const store = yield* Store
  const seen = new Set([run])
  const lines: Array<string> = []
  // A set gives what is added to it on the way.
  for (const id of seen) {
    lines.push(...(yield* linesOf(store, id)))
    if (options.alone !== true) for (const relative of yield* relativesOf(store, id)) seen.add(relative)
  }
  return lines
})
