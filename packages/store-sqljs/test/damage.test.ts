/** The redo log is cut at every byte, and it and the database are altered at bytes all over them. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Store } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import * as Journal from "@waymark/testing/JournalBuilder"
import { Maintenance } from "../src/Maintenance.ts"
import * as MemoryPersistence from "../src/MemoryPersistence.ts"
import * as SqljsStore from "../src/SqljsStore.ts"

const open = (disk: MemoryPersistence.Disk, readOnly: boolean) =>
  Layer.build(
    Layer.fresh(SqljsStore.layer({ readOnly, foldBytes: 1e9 })).pipe(
      Layer.provide(MemoryPersistence.layer(disk))
    )
  )

/** Two runs in the database, and more of them in the redo log, left by a process that was not closed. */
const left = Effect.gen(function* () {
  const disk = MemoryPersistence.makeDisk()
  const journals = new Map<string, Journal.JournalBuilder>()
  const copy = yield* Effect.scoped(
    Effect.gen(function* () {
      const context = yield* open(disk, false)
      const store = Context.get(context, Store)
      for (const part of ["folded", "logged"]) {
        for (const run of ["one", "two"]) {
          const known = journals.get(run)
          const journal = known ?? (yield* Journal.make(run))
          journals.set(run, journal)
          const lease =
            known === undefined
              ? yield* store.create(journal.batch(Journal.created()), { holder: "worker" })
              : { run, owner: store.owner, epoch: 0 }
          yield* store.append(lease, journal.seq, journal.batch(Journal.annotated(part)))
          yield* store.sync(lease)
        }
        if (part === "folded") yield* Context.get(context, Maintenance).checkpoint
      }
      return { database: disk.database!.slice(), logs: new Map(disk.logs) }
    })
  )
  return { ...copy, journals }
})

type Left = Effect.Success<typeof left>

/** What is wrong with what is shown, if anything is. */
const attempt = (place: Left, database: Uint8Array, logs: ReadonlyMap<number, Uint8Array>) =>
  Effect.gen(function* () {
    const disk = MemoryPersistence.makeDisk(database)
    for (const [log, bytes] of logs) disk.logs.set(log, bytes)
    const isTyped = (error: { readonly _tag: string }) => {
      const reason = error._tag === "StoreError" ? (error as StoreError).reason : undefined
      return reason?._tag === "UnsupportedFormat" || (reason?._tag === "Corrupt" && reason.path !== undefined)
    }
    const opened = yield* Effect.result(open(disk, true))
    if (Result.isFailure(opened))
      return isTyped(opened.failure) ? [] : [`it cannot be opened: ${opened.failure.message}`]
    const store = Context.get(opened.success, Store)
    const problems: Array<string> = []
    for (const [run, journal] of place.journals) {
      const read = yield* Effect.result(store.read(run))
      if (Result.isFailure(read)) {
        if (read.failure._tag !== "RunNotFound" && !isTyped(read.failure)) problems.push(read.failure.message)
        continue
      }
      const lines = journal.entries.map(({ line }) => line)
      if (read.success.some(({ line }, seq) => line !== lines[seq]))
        problems.push(`${run} is not what was written`)
    }
    return problems
  }).pipe(Effect.scoped)

describe("damage", () => {
  it.live(
    "a redo log that is cut or altered: what comes before is shown, or it is said to be damaged",
    () =>
      Effect.gen(function* () {
        const place = yield* left
        const problems: Array<string> = []
        const newest = Math.max(...place.logs.keys())
        const bytes = place.logs.get(newest)!
        const look = (what: string, altered: Uint8Array) =>
          Effect.map(attempt(place, place.database, new Map([...place.logs, [newest, altered]])), (found) => {
            for (const problem of found) problems.push(`${what}: ${problem}`)
          })
        for (let at = 0; at < bytes.length; at++) yield* look(`cut at ${at}`, bytes.subarray(0, at))
        for (let at = 0; at < bytes.length; at += 5) {
          const altered = bytes.slice()
          altered[at]! ^= 1 << (at & 7)
          yield* look(`byte ${at}`, altered)
        }
        assert.deepStrictEqual(problems.slice(0, 10), [])
      }),
    600_000
  )

  it.live(
    "a database that is altered or cut: nothing else is shown than what was written",
    () =>
      Effect.gen(function* () {
        const place = yield* left
        const problems: Array<string> = []
        const { database } = place
        const look = (what: string, altered: Uint8Array) =>
          Effect.map(attempt(place, altered, place.logs), (found) => {
            for (const problem of found) problems.push(`${what}: ${problem}`)
          })
        const step = Math.floor(database.length / 300) | 1
        for (let at = 0; at < database.length; at += step) {
          const altered = database.slice()
          altered[at]! ^= 1 << (at & 7)
          yield* look(`byte ${at}`, altered)
          if (at % 3 === 0) yield* look(`cut at ${at}`, database.subarray(0, at))
        }
        assert.deepStrictEqual(problems.slice(0, 10), [])
      }),
    600_000
  )
})
