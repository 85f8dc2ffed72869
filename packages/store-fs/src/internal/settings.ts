/**
 * What is said of a store, and what goes unsaid.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Path from "node:path"
import type { StoreError } from "@waymark/core/Store"
import { named } from "@waymark/store-kit/Failures"
import * as Reading from "@waymark/store-kit/Settings"
import type { Options } from "../FsStore.ts"
import type { Settings } from "./store.ts"

const megabyte = 1024 * 1024

/** For how long a process may be busy with something else, in milliseconds, at the very least. */
const shortestLease = 100

/** Where a store lies from now on, whatever becomes the working directory. */
const place = (directory: string): string =>
  Path.isAbsolute(directory) ? directory : Path.resolve(directory)

export const of = (options: Options = {}): Effect.Effect<Settings, StoreError> =>
  named("open")(
    Reading.read(({ count, duration, ensure, text }): Settings => {
      const leaseTtl = duration("leaseTtl", options.leaseTtl ?? "10 seconds", shortestLease)
      const heartbeat =
        options.heartbeat === undefined ? leaseTtl / 4 : duration("heartbeat", options.heartbeat, 1)
      ensure(
        !(heartbeat > leaseTtl / 2),
        "heartbeat",
        Duration.millis(heartbeat),
        `at most half of \`leaseTtl\`, which is ${leaseTtl} ms, or a process that is alive is taken for dead`
      )
      return {
        directory: place(text("directory", options.directory ?? ".waymark")),
        readOnly: options.readOnly ?? false,
        leaseTtl,
        heartbeat,
        pollInterval: duration("pollInterval", options.pollInterval ?? "200 millis", 1),
        segmentSize: count("segmentSize", options.segmentSize ?? 64 * megabyte),
        maxUnsynced: count("maxUnsynced", options.maxUnsynced ?? 4 * megabyte)
      }
    })
  )
