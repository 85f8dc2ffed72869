/**
 * A store in one SQLite file, for Waymark on Node and in the browser.
 *
 * @since 0.1.0
 */
export * as BrowserSqljsStore from "./BrowserSqljsStore.ts"
export * as IndexedDbPersistence from "./IndexedDbPersistence.ts"
export * as Maintenance from "./Maintenance.ts"
export * as MemoryPersistence from "./MemoryPersistence.ts"
export * as Persistence from "./Persistence.ts"
export * as SqljsStore from "./SqljsStore.ts"
