/**
 * What is said of a store, and what goes unsaid.
 */
import * as Duration from "effect/Duration"
import type { Options } from "../FsStore.ts"
import type { Settings } from "./store.ts"

const megabyte = 1024 * 1024

export const of = (options: Options | undefined): Settings => {
  const leaseTtl = Duration.toMillis(options?.leaseTtl ?? "10 seconds")
  return {
    directory: options?.directory ?? ".waymark",
    readOnly: options?.readOnly ?? false,
    leaseTtl,
    heartbeat: options?.heartbeat === undefined ? leaseTtl / 4 : Duration.toMillis(options.heartbeat),
    pollInterval: Duration.toMillis(options?.pollInterval ?? "200 millis"),
    segmentSize: options?.segmentSize ?? 64 * megabyte,
    maxUnsynced: options?.maxUnsynced ?? 4 * megabyte
  }
}
