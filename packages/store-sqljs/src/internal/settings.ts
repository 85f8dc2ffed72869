/**
 * What is said of a store, and what goes unsaid.
 */
import type * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"
import { named } from "@waymark/store-kit/Failures"
import * as Reading from "@waymark/store-kit/Settings"
import type { Options } from "../SqljsStore.ts"
import type { Settings } from "./store.ts"

const megabyte = 1024 * 1024

export const of = (options: Options = {}): Effect.Effect<Settings, StoreError> =>
  named("open")(
    Reading.read(({ count, duration }): Settings => {
      const foldBytes = count("foldBytes", options.foldBytes ?? 16 * megabyte)
      return {
        readOnly: options.readOnly ?? false,
        maxBytes: count("maxBytes", options.maxBytes ?? 1024 * megabyte),
        foldAfter: (databaseBytes, inBlocks) =>
          inBlocks ? foldBytes : Math.max(foldBytes, databaseBytes / 8),
        maxUnsynced: count("maxUnsynced", options.maxUnsynced ?? 4 * megabyte),
        pollInterval: duration("pollInterval", options.pollInterval ?? "200 millis", 1)
      }
    })
  )
