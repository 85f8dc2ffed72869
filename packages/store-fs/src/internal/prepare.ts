/**
 * Makes a store's directory, or looks whether it is one that this version can work with.
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "@waymark/core/Store"
import type { Disk } from "@waymark/store-kit/Disk"
import { failure } from "@waymark/store-kit/Failures"
import { FormatFile, formatVersion, parseFile, parseTemporaryName, temporaryName } from "./format.ts"

const directories = ["segments", "leases", "claims", "meta", "artifacts", "tmp"]

const checkFormat = (disk: Disk): Effect.Effect<boolean, StoreError> =>
  Effect.gen(function* () {
    const path = disk.path("format.json")
    const text = yield* disk.readText(path)
    if (text === undefined) return false
    const file = parseFile(FormatFile, text)
    if (file === undefined) {
      return yield* failure({
        _tag: "Corrupt",
        path,
        offset: 0,
        detail: "this file should name the format of the store"
      })
    }
    if (file.format > formatVersion) {
      return yield* failure({ _tag: "UnsupportedFormat", path, found: file.format, supported: formatVersion })
    }
    return true
  })

/** `owner` is a name that no other instance has. */
export const prepare = (disk: Disk, readOnly: boolean, owner: string): Effect.Effect<void, StoreError> =>
  Effect.gen(function* () {
    if (readOnly) {
      if (yield* checkFormat(disk)) return
      return yield* failure({ _tag: "Invalid", path: disk.root, detail: "there is no store here" })
    }
    yield* disk.makeDirectory(disk.root)
    const known = yield* checkFormat(disk)
    for (const directory of directories) yield* disk.makeDirectory(disk.path(directory))
    if (known) return yield* tidy(disk)
    // Whoever began to make this store may not have come to the end.
    yield* disk.syncAncestors(disk.root)
    const file: typeof FormatFile.Type = { store: "waymark", format: formatVersion }
    yield* disk.createExclusively(
      disk.path("format.json"),
      Buffer.from(`${JSON.stringify(file)}\n`),
      temporaryName(owner, 0)
    )
  })

/** Temporary files are in use for as long as it takes to write them; these are forgotten ones, in milliseconds. */
const forgottenAfter = 60 * 60 * 1000

/** Removes what instances left that were stopped while they wrote something. */
const tidy = (disk: Disk): Effect.Effect<void, StoreError> =>
  Effect.gen(function* () {
    for (const name of yield* disk.list("tmp")) {
      if (parseTemporaryName(name).time < Date.now() - forgottenAfter)
        yield* disk.remove(disk.path("tmp", name))
    }
  })
