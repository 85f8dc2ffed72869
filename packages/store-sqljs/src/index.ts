/**
 * A store in one SQLite file, for Waymark on Node and in the browser.
 *
 * @since 0.1.0
 */
export * as Maintenance from "./Maintenance.ts"
export * as MemoryPersistence from "./MemoryPersistence.ts"
export * as Persistence from "./Persistence.ts"
export * as SqljsStore from "./SqljsStore.ts"
