/**
 * The engine, set up as a user would: a worker over a store.
 */
import { createHash, hash } from "node:crypto"
import { join } from "node:path"
import { Hasher } from "@waymark/core/Hasher"
import * as MemoryStore from "@waymark/core/MemoryStore"
import type * as Runs from "@waymark/core/Runs"
import type { Store } from "@waymark/core/Store"
import * as Worker from "@waymark/core/Worker"
import * as FsStore from "@waymark/store-fs/FsStore"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import {
  Chain,
  Fan,
  Growing,
  Marked,
  Replacing,
  Stopping,
  StrictChain,
  Untouched,
  Waiting,
  chainHandlers,
  fanHandlers,
  growingHandlers,
  markedHandlers,
  replacingHandlers,
  stoppingHandlers,
  strictChainHandlers,
  untouchedHandlers,
  waitingHandlers
} from "./flows.ts"

const handlers = Layer.mergeAll(
  chainHandlers,
  strictChainHandlers,
  markedHandlers,
  untouchedHandlers,
  growingHandlers,
  replacingHandlers,
  stoppingHandlers,
  fanHandlers,
  waitingHandlers
)

const flows = [Chain, StrictChain, Marked, Untouched, Growing, Replacing, Stopping, Fan, Waiting] as const

/** The hasher that a Node process has when its store brings none. */
export const nodeHasher: Layer.Layer<never> = Layer.succeed(Hasher, {
  hash: (text) => hash("sha256", text),
  hashBytes: (bytes) => createHash("sha256").update(bytes).digest("hex")
})

export type Engine = ManagedRuntime.ManagedRuntime<Worker.Worker | Runs.Runs | Store, unknown>

/** A worker over a store; `dispose` it. */
export const makeEngine = <E>(store: Layer.Layer<Store, E>): Engine =>
  ManagedRuntime.make(
    Worker.layer({ flows, concurrency: 64 }).pipe(Layer.provide(handlers), Layer.provideMerge(store))
  )

/** In memory, with the hasher that core brings. */
export const inMemory = (): Engine => makeEngine(MemoryStore.layer())

/** In memory, with that of Node. */
export const inMemoryWithNode = (): Engine =>
  makeEngine(MemoryStore.layer().pipe(Layer.provideMerge(nodeHasher)))

/** The stores that keep what they hold. */
export type Place = "store-fs" | "store-sqljs"

/** How a store's cases are called. */
export const suffixOf = (place: Place): string => place.slice("store-".length)

/** The layer of a store in a directory. */
export const storeIn = (directory: string, place: Place, readOnly = false): Layer.Layer<Store, unknown> =>
  place === "store-fs"
    ? FsStore.layer({ directory, readOnly })
    : NodeSqljsStore.layer({ file: join(directory, "runs.sqlite"), readOnly })

/** In a directory. */
export const inDirectory = (directory: string, place: Place = "store-fs"): Engine =>
  makeEngine(storeIn(directory, place))
