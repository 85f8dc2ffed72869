/**
 * The SQLite store in a browser, in a page or in a worker.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type { Store, StoreError } from "@waymark/core/Store"
import * as IndexedDbPersistence from "./IndexedDbPersistence.ts"
import type { Maintenance } from "./Maintenance.ts"
import * as SqljsStore from "./SqljsStore.ts"

/**
 * Which store of the page's origin, and how it works. With a bundler `locateFile` is needed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends IndexedDbPersistence.Options, SqljsStore.Options {}

/**
 * The store in IndexedDB. It needs Web Locks, which pages have that come by https or from localhost.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Store | Maintenance, StoreError> =>
  SqljsStore.layer(options).pipe(Layer.provide(IndexedDbPersistence.layer(options)))
