/**
 * What is said of a store, and what goes unsaid.
 */
import * as Duration from "effect/Duration"
import type { Options } from "../SqljsStore.ts"
import type { Settings } from "./store.ts"

const megabyte = 1024 * 1024

export const of = (options: Options | undefined): Settings => {
  const foldBytes = options?.foldBytes ?? 16 * megabyte
  return {
    readOnly: options?.readOnly ?? false,
    maxBytes: options?.maxBytes ?? 1024 * megabyte,
    foldAfter: (databaseBytes, inBlocks) => (inBlocks ? foldBytes : Math.max(foldBytes, databaseBytes / 8)),
    maxUnsynced: options?.maxUnsynced ?? 4 * megabyte,
    pollInterval: Duration.toMillis(options?.pollInterval ?? "200 millis")
  }
}
