/**
 * Parts that stores are built of.
 *
 * @since 0.1.0
 */
export * as Coalesce from "./Coalesce.ts"
export * as Disk from "./Disk.ts"
export * as Failures from "./Failures.ts"
export * as NodeFiles from "./NodeFiles.ts"
export * as NodeHasher from "./NodeHasher.ts"
export * as ProcessIdentity from "./ProcessIdentity.ts"
export * as Salvage from "./Salvage.ts"
export * as Settings from "./Settings.ts"
export * as TestMachine from "./TestMachine.ts"
export * as Text from "./Text.ts"
export * as Wakeups from "./Wakeups.ts"
