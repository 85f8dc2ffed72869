/**
 * The SQLite store in a file of this host, for Node.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { Store, StoreError } from "@waymark/core/Store"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import type { Maintenance } from "./Maintenance.ts"
import * as NodePersistence from "./NodePersistence.ts"
import * as SqljsStore from "./SqljsStore.ts"

/**
 * Which file, and how the store works.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends NodePersistence.Options, SqljsStore.Options {}

/**
 * The store in a file, and core's `Hasher` by `node:crypto` for everything that is built upon it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Store | Maintenance, StoreError> =>
  SqljsStore.layer(options).pipe(
    Layer.provide(NodePersistence.layer(options)),
    Layer.provideMerge(NodeHasher.layer)
  )
