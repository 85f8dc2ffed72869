/**
 * The stores of the workspace, opened to read only, and what changes in them.
 *
 * One store that cannot be opened hides none of the others: it stands in the list with the reason.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Runs from "@waymark/core/Runs"
import { Store } from "@waymark/core/Store"
import type { Page, StoreError } from "@waymark/core/Store"
import { FsStore } from "@waymark/store-fs"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import * as Catalog from "./Catalog.ts"
import type { Place } from "./Place.ts"

/** A store that is open, with a client on it. */
export interface Open {
  readonly store: Store["Service"]
  readonly runs: Runs.Runs["Service"]
}

/**
 * A store of the workspace. `loaded` says whether all rows are in the catalog; `problem` why it cannot be read, or
 * followed.
 */
export interface Source {
  readonly place: Place
  readonly catalog: Catalog.Catalog
  readonly open: Open | undefined
  readonly loaded: boolean
  readonly problem: string | undefined
}

/** Something about a store changed: about these runs, or (without any) about the store as a whole. */
export interface Changed {
  readonly store: string
  readonly runs: ReadonlySet<string> | undefined
}

/** A store is not among those of the workspace, or cannot be read. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  store: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `the store ${this.store} cannot be read: ${this.detail}`
  }
}

/** How stores are opened: read only for looking, else for a moment, to put a command in an inbox. */
export class StoreLayers extends Context.Service<
  StoreLayers,
  { readonly layerOf: (place: Place, readOnly: boolean) => Layer.Layer<Store, StoreError> }
>()("waymark-vscode/StoreLayers") {
  /** Those on this host. `locateWasm` says where the WebAssembly of sql.js lies. */
  static readonly layerHost = (locateWasm: (file: string) => string): Layer.Layer<StoreLayers> =>
    Layer.succeed(
      StoreLayers,
      StoreLayers.of({
        layerOf: ({ kind, path }, readOnly) =>
          kind === "directory"
            ? FsStore.layer({ directory: path, readOnly })
            : NodeSqljsStore.layer({ file: path, readOnly, locateFile: locateWasm })
      })
    )
}

export class Stores extends Context.Service<
  Stores,
  {
    /** All of them, by label. */
    readonly sources: () => ReadonlyArray<Source>
    readonly source: (store: string) => Source | undefined
    /** One that can be read. */
    readonly open: (store: string) => Effect.Effect<Open, StoreUnavailable>
    /** Opens what is new among these places, and closes what is not there any more. */
    readonly use: (places: ReadonlyArray<Place>) => Effect.Effect<void>
    /** Opens again what could not be opened. */
    readonly retry: Effect.Effect<void>
    /** Runs an effect with a client that may write. */
    readonly writing: <A, E>(
      store: string,
      effect: Effect.Effect<A, E, Runs.Runs>
    ) => Effect.Effect<A, E | StoreUnavailable | StoreError>
    readonly changes: Stream.Stream<Changed>
  }
>()("waymark-vscode/Stores") {}

interface Entry {
  readonly place: Place
  readonly catalog: Catalog.Catalog
  readonly scope: Scope.Closeable
  open: Open | undefined
  loaded: boolean
  problem: string | undefined
}

/** How long changes are collected before they are told, in milliseconds; and before a store that fails is tried again. */
const collectFor = 100
const tryAgainAfter = 5000
const pageSize = 1000

const explain = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

const unavailable = (store: string, problem: string | undefined) =>
  Effect.fail(new StoreUnavailable({ store, detail: problem ?? "it is not among those of this workspace" }))

const make = Effect.gen(function* () {
  const { layerOf } = yield* StoreLayers
  const entries = new Map<string, Entry>()
  const all = yield* Effect.scope
  const told = yield* PubSub.unbounded<Changed>()
  const tell = (store: string, runs?: ReadonlySet<string>) => PubSub.publish(told, { store, runs })
  const one = yield* Semaphore.make(1)

  const refresh = (entry: Entry, { store }: Open, run: string) =>
    store.get(run).pipe(
      Effect.map(({ info }) => entry.catalog.set(info)),
      Effect.catchTag("RunNotFound", () => Effect.sync(() => entry.catalog.remove(run)))
    )

  const load = (entry: Entry, { store }: Open) =>
    Effect.gen(function* () {
      let cursor: string | undefined
      const gone = new Set(entry.loaded ? entry.catalog.runs() : [])
      do {
        const page: Page = yield* store.list(
          cursor === undefined ? { limit: pageSize } : { limit: pageSize, cursor }
        )
        // A row that was refreshed meanwhile is newer than that of the page.
        for (const info of page.runs) {
          gone.delete(info.run)
          const known = entry.catalog.get(info.run)
          if (known === undefined || known.seq < info.seq || known.createdAt !== info.createdAt)
            entry.catalog.set(info)
        }
        cursor = page.cursor
        yield* tell(entry.place.path)
        yield* Effect.yieldNow
      } while (cursor !== undefined)
      for (const run of gone) entry.catalog.remove(run)
      entry.loaded = true
      entry.problem = undefined
      yield* tell(entry.place.path)
    })

  /** Takes in what changes, in bundles. Changes that come between the subscription and the list are told anyway. */
  const follow = (entry: Entry, open: Open) =>
    open.store.changes.pipe(
      Stream.groupedWithin(4096, collectFor),
      Stream.runForEach(
        Effect.fnUntraced(function* (bundle) {
          const runs = new Set(bundle.map(({ run }) => run))
          for (const run of runs) yield* refresh(entry, open, run)
          yield* tell(entry.place.path, runs)
        })
      )
    )

  const openEntry = (entry: Entry) =>
    Effect.gen(function* () {
      const { path } = entry.place
      const layer = Layer.provideMerge(Runs.layer, layerOf(entry.place, true))
      const built = yield* Effect.exit(Layer.buildWithScope(layer, entry.scope))
      if (Exit.isFailure(built)) {
        entry.problem = explain(built.cause)
        yield* Effect.logWarning("a store cannot be opened", { path, problem: entry.problem })
        yield* tell(path)
        return
      }
      const open: Open = {
        store: Context.get(built.value, Store),
        runs: Context.get(built.value, Runs.Runs)
      }
      entry.open = open
      entry.problem = undefined
      yield* tell(path)
      const watch = Effect.gen(function* () {
        const following = yield* Effect.exit(
          Effect.all([follow(entry, open), load(entry, open)], { concurrency: 2, discard: true })
        )
        if (Exit.isFailure(following) && !Cause.hasInterruptsOnly(following.cause)) {
          entry.problem = explain(following.cause)
          yield* Effect.logWarning("a store cannot be followed", { path, problem: entry.problem })
          yield* tell(path)
        }
        yield* Effect.sleep(tryAgainAfter)
      })
      yield* Effect.forkIn(Effect.forever(watch), entry.scope)
    })

  const add = (place: Place) =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(all)
      const entry: Entry = {
        place,
        catalog: Catalog.make(),
        scope,
        open: undefined,
        loaded: false,
        problem: undefined
      }
      entries.set(place.path, entry)
      yield* openEntry(entry)
    })

  const remove = (entry: Entry) =>
    Effect.gen(function* () {
      entries.delete(entry.place.path)
      yield* Scope.close(entry.scope, Exit.void)
      yield* tell(entry.place.path)
    })

  const openOf = (store: string) =>
    Effect.suspend(() => {
      const entry = entries.get(store)
      if (entry?.open !== undefined) return Effect.succeed(entry.open)
      return unavailable(store, entry?.problem)
    })

  return Stores.of({
    sources: () =>
      [...entries.values()].sort((a, b) =>
        a.place.label < b.place.label ? -1 : a.place.label > b.place.label ? 1 : 0
      ),
    source: (store) => entries.get(store),
    open: openOf,
    use: (places) =>
      one.withPermits(1)(
        Effect.gen(function* () {
          const wanted = new Map(places.map((place) => [place.path, place]))
          for (const entry of entries.values()) if (!wanted.has(entry.place.path)) yield* remove(entry)
          const added = [...wanted.values()].filter(({ path }) => !entries.has(path))
          yield* Effect.forEach(added, add, { concurrency: 4, discard: true })
        })
      ),
    retry: one.withPermits(1)(
      Effect.suspend(() =>
        Effect.forEach(
          [...entries.values()].filter(({ open }) => open === undefined),
          openEntry,
          { discard: true }
        )
      )
    ),
    writing: <A, E>(store: string, effect: Effect.Effect<A, E, Runs.Runs>) =>
      Effect.suspend((): Effect.Effect<A, E | StoreUnavailable | StoreError> => {
        const entry = entries.get(store)
        if (entry === undefined) return unavailable(store, undefined)
        return Effect.provide(
          effect,
          Layer.fresh(Layer.provideMerge(Runs.layer, layerOf(entry.place, false)))
        )
      }),
    changes: Stream.fromPubSub(told)
  })
})

/** No store until some are given. */
export const layer: Layer.Layer<Stores, never, StoreLayers> = Layer.effect(Stores, make)
