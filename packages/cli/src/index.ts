/**
 * What a project's `waymark.config.ts` imports.
 *
 * @since 0.1.0
 */
export { defineConfig, fsStore, sqliteStore } from "./Config.ts"
export type { AnyFlowEntry, Config, FlowEntry, Options, StoreOpening } from "./Config.ts"
export { ExitCode } from "./ExitCode.ts"
