/**
 * A store in a directory, for Waymark on Node.
 *
 * @since 0.1.0
 */
export * as FsStore from "./FsStore.ts"
export * as Maintenance from "./Maintenance.ts"
export * as Repair from "./Repair.ts"
