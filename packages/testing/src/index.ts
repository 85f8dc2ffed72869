/**
 * Tools for testing flows, stores, and whatever else stands on Waymark.
 *
 * @since 0.1.0
 */
export * as CrashExplorer from "./CrashExplorer.ts"
export * as CrashStore from "./CrashStore.ts"
export * as FakeTools from "./FakeTools.ts"
export * as Faults from "./Faults.ts"
export * as FaultSuite from "./FaultSuite.ts"
export * as JournalBuilder from "./JournalBuilder.ts"
export * as JournalSnapshot from "./JournalSnapshot.ts"
export * as PowerLossFileSystem from "./PowerLossFileSystem.ts"
export * as RecordedStore from "./RecordedStore.ts"
export * as ReplaySuite from "./ReplaySuite.ts"
export * as RunToTest from "./RunToTest.ts"
export * as StoreChecks from "./StoreChecks.ts"
export * as StoreHarness from "./StoreHarness.ts"
export * as StoreSuite from "./StoreSuite.ts"
export * as TestRuntime from "./TestRuntime.ts"
