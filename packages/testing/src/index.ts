/**
 * @since 0.1.0
 */
export * as JournalBuilder from "./JournalBuilder.ts"
export * as StoreChecks from "./StoreChecks.ts"
export * as StoreHarness from "./StoreHarness.ts"
export * as StoreSuite from "./StoreSuite.ts"
