/** The redo log and the database are cut at every byte, and altered at bytes all over them. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Store } from "@waymark/core/Store"
import type { StoreError } from "@waymark/core/Store"
import * as Journal from "@waymark/testing/JournalBuilder"
import * as Crypto from "node:crypto"
import * as CheckedFile from "../src/internal/checkedFile.ts"
import { step } from "../src/internal/operation.ts"
import { blockSize } from "../src/internal/pageFile.ts"
import * as Redo from "../src/internal/redo.ts"
import { Maintenance } from "../src/Maintenance.ts"
import * as MemoryPersistence from "../src/MemoryPersistence.ts"
import * as SqljsStore from "../src/SqljsStore.ts"

const hashOf = (data: string | Uint8Array): string => Crypto.hash("sha256", data, "hex")

const open = (disk: MemoryPersistence.Disk, readOnly: boolean) =>
  Layer.build(
    Layer.fresh(SqljsStore.layer({ readOnly, foldBytes: 1e9 })).pipe(
      Layer.provide(MemoryPersistence.layer(disk))
    )
  )

/** Three runs in the database, and more of them in the redo log, left by a process that was not closed. */
const left = Effect.gen(function* () {
  const disk = MemoryPersistence.makeDisk()
  const journals = new Map<string, Journal.JournalBuilder>()
  const told: Array<string> = []
  const copy = yield* Effect.scoped(
    Effect.gen(function* () {
      const context = yield* open(disk, false)
      const store = Context.get(context, Store)
      for (const part of ["folded", "logged"]) {
        for (const run of part === "folded" ? ["one", "two", "three"] : ["one", "two", "one"]) {
          const known = journals.get(run)
          const journal = known ?? (yield* Journal.make(run))
          journals.set(run, journal)
          const lease =
            known === undefined
              ? yield* store.create(journal.batch(Journal.created()), { holder: "worker" })
              : { run, owner: store.owner, epoch: 0 }
          yield* store.append(lease, journal.seq, journal.batch(Journal.annotated(part)))
          yield* store.sync(lease)
          yield* store.send({ id: `${part} ${journal.seq}`, run, time: 0, request: { type: "resume" } })
          told.push(`${run} ${part} ${journal.seq}`)
        }
        yield* store.setMeta("cursor", part)
        if (part === "folded") yield* Context.get(context, Maintenance).checkpoint
      }
      return { database: disk.database!.slice(), logs: new Map(disk.logs) }
    })
  )
  return { ...copy, journals, told }
})

type Left = Effect.Success<typeof left>

/**
 * What is wrong with what is shown, if anything is. What a crash left of the last write counts for nothing: then `torn` is how much
 * of what was done last may be missing.
 */
const attempt = (
  place: Left,
  database: Uint8Array,
  logs: ReadonlyMap<number, Uint8Array>,
  torn: boolean,
  readers: { opened: number; read: number }
) =>
  Effect.gen(function* () {
    const disk = MemoryPersistence.makeDisk(database)
    for (const [log, bytes] of logs) disk.logs.set(log, bytes)
    const isTyped = (error: { readonly _tag: string }) => {
      const reason = error._tag === "StoreError" ? (error as StoreError).reason : undefined
      return (
        reason?._tag === "UnsupportedFormat" ||
        (reason?._tag === "Corrupt" && reason.path !== undefined && reason.offset !== undefined)
      )
    }
    const opened = yield* Effect.result(open(disk, true))
    if (Result.isFailure(opened))
      return isTyped(opened.failure) ? [] : [`it cannot be opened: ${opened.failure.message}`]
    readers.opened += 1
    const store = Context.get(opened.success, Store)
    const problems: Array<string> = []
    const asked = <A, E extends { readonly _tag: string; readonly message: string }>(
      what: string,
      work: Effect.Effect<A, E>,
      judge: (value: A) => string | undefined
    ) =>
      Effect.map(Effect.result(work), (result) => {
        if (Result.isFailure(result)) {
          if (!isTyped(result.failure)) problems.push(`${what}: ${result.failure.message}`)
          return
        }
        readers.read += 1
        const problem = judge(result.success)
        if (problem !== undefined) problems.push(`${what}: ${problem}`)
      })
    for (const [run, journal] of place.journals) {
      const lines = journal.entries.map(({ line }) => line)
      yield* asked(`read ${run}`, store.read(run), (found) =>
        found.some(({ line }, seq) => line !== lines[seq])
          ? "it is not what was written"
          : found.length < lines.length && !torn
            ? `${found.length} entries only, and nobody is told`
            : undefined
      )
      yield* asked(`inbox of ${run}`, store.inbox(run, {}), (found) => {
        const ids = found.map(({ command }) => `${run} ${command.id}`)
        const sent = place.told.filter((each) => each.startsWith(`${run} `))
        return ids.join() === sent.join() || (torn && ids.every((id, i) => id === sent[i]))
          ? undefined
          : `it has ${ids.join()}, and nobody is told`
      })
      yield* asked(`get ${run}`, store.get(run), ({ head, info }) =>
        info.run !== run || info.flow !== "flow" || info.status !== "pending" || head.seq !== info.seq
          ? `it is ${JSON.stringify(info)}`
          : undefined
      )
    }
    yield* asked("the value", store.getMeta("cursor"), (value) =>
      value === "logged" || (torn && value === "folded") ? undefined : `it is ${value}`
    )
    yield* asked("the list", store.list({ order: "oldest" }), ({ runs }) => {
      const names = runs.map(({ run }) => run).sort()
      return names.join() === "one,three,two" ? undefined : `it has ${names.join()}`
    })
    const given: Array<string> = []
    let cursor: string | undefined
    for (let more = true; more;) {
      more = false
      const page = store.feed({ limit: 2, ...(cursor === undefined ? {} : { cursor }) })
      yield* asked("the feed", page, (found) => {
        cursor = found.cursor
        more = found.entries.length > 0
        for (const { line } of found.entries) given.push(line)
        const all = [...place.journals.values()].reduce((sum, { entries }) => sum + entries.length, 0)
        return more || torn || given.length === all ? undefined : `${given.length} of ${all} entries`
      })
    }
    const written = new Set(
      [...place.journals.values()].flatMap(({ entries }) => entries.map(({ line }) => line))
    )
    if (given.some((line) => !written.has(line))) problems.push("the feed has what was not written")
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
        const readers = { opened: 0, read: 0 }
        let attempts = 0
        const look = (what: string, altered: Uint8Array, torn: boolean) =>
          Effect.map(
            attempt(place, place.database, new Map([...place.logs, [newest, altered]]), torn, readers),
            (found) => {
              attempts += 1
              for (const problem of found) problems.push(`${what}: ${problem}`)
            }
          )
        const lastFrame = Buffer.from(bytes).lastIndexOf('{"$":"frame"')
        for (let at = 0; at < bytes.length; at++) yield* look(`cut at ${at}`, bytes.subarray(0, at), true)
        for (let at = 0; at < bytes.length; at += 5) {
          const altered = bytes.slice()
          altered[at]! ^= 1 << (at & 7)
          yield* look(`byte ${at}`, altered, at >= lastFrame)
        }
        // Nothing keeps a reader out.
        assert.strictEqual(readers.opened, attempts)
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
        const readers = { opened: 0, read: 0 }
        const look = (what: string, altered: Uint8Array) =>
          Effect.map(attempt(place, altered, place.logs, false, readers), (found) => {
            for (const problem of found) problems.push(`${what}: ${problem}`)
          })
        const step = Math.floor(database.length / 300) | 1
        for (let at = 0; at < database.length; at += step) {
          const altered = database.slice()
          altered[at]! ^= 1 << (at & 7)
          yield* look(`byte ${at}`, altered)
        }
        // Each byte between these leaves the same: the test that follows shows that.
        for (let page = 0; page < database.length; page += blockSize) {
          for (const at of [page, page + 1, page + blockSize - 1])
            yield* look(`cut at ${at}`, database.subarray(0, at))
        }
        assert.isAbove(readers.opened, 150)
        assert.isAbove(readers.read, readers.opened * 3)
        assert.deepStrictEqual(problems.slice(0, 10), [])
      }),
    600_000
  )

  it.live(
    "a database that is cut at any byte: the pages before it can be read, and the others are missed",
    () =>
      Effect.gen(function* () {
        const { database } = yield* left
        const last = database.length - blockSize
        const problems: Array<string> = []
        const page = new Uint8Array(blockSize)
        for (let at = 0; at < database.length; at++) {
          const cutPage = at - (at % blockSize)
          const damaged = CheckedFile.damagesIn(database.subarray(0, at))
          if (damaged.join() !== (at === cutPage ? "" : String(cutPage)))
            problems.push(`cut at ${at}: the pages ${damaged.join()} are damaged`)
          // As SQLite reads it: for the first bytes of each page, some in the middle, and the last one.
          const within = at - cutPage
          if (within > 2 && within % 1000 !== 0 && within !== blockSize - 1) continue
          const file = CheckedFile.make(database.subarray(0, at))
          const missed = (from: number): boolean => {
            const count = file.read(from, page)
            return count === -1 ? file.damage() === from : from >= file.size() && count === 0
          }
          if (!missed(cutPage)) problems.push(`cut at ${at}: page ${cutPage} can be read`)
          if (!missed(last)) problems.push(`cut at ${at}: the last page can be read`)
          if (at < blockSize) continue
          if (file.size() !== database.length) problems.push(`cut at ${at}: nobody knows how long it was`)
          for (let before = 0; before < cutPage; before += blockSize) {
            const isRead = file.read(before, page) === blockSize && file.damage() === undefined
            if (!isRead || Buffer.compare(page, database.subarray(before, before + blockSize)) !== 0)
              problems.push(`cut at ${at}: page ${before} cannot be read`)
          }
        }
        assert.isAbove(database.length, 10 * blockSize)
        assert.deepStrictEqual(problems.slice(0, 10), [])
      }),
    600_000
  )

  const corruptionOf = (disk: MemoryPersistence.Disk, readOnly: boolean) =>
    Effect.map(Effect.flip(Effect.scoped(open(disk, readOnly))), ({ reason }) =>
      reason._tag === "Corrupt" ? reason : assert.fail(reason._tag)
    )

  it.live("a redo log that lost its end before another one was begun is told by that one", () =>
    Effect.gen(function* () {
      const { database, logs } = yield* left
      const [log, bytes] = [...logs].sort(([a], [b]) => b - a)[0]!
      const cutAt = Buffer.from(bytes).lastIndexOf('{"$":"frame"')
      const disk = MemoryPersistence.makeDisk(database)
      disk.logs.set(log, bytes.slice(0, cutAt))
      const next = Redo.encodeFrame(
        [step({ $: "log", format: 1, generation: log + 1, owner: "worker", follows: bytes.length })],
        0,
        { hash: (text) => hashOf(text), hashBytes: (data) => hashOf(data) }
      )
      disk.logs.set(log + 1, next)
      const reason = yield* corruptionOf(disk, false)
      assert.deepInclude(reason, { path: `memory, redo log ${log}`, offset: cutAt })
      const store = Context.get(yield* open(disk, true), Store)
      const error = yield* Effect.flip(store.read("one"))
      assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "Corrupt")
      yield* store.read("one", { to: 0 })
    }).pipe(Effect.scoped)
  )

  it.live("a redo log that is gone though another one follows is missed", () =>
    Effect.gen(function* () {
      const { database, logs } = yield* left
      const log = Math.max(...logs.keys())
      const disk = MemoryPersistence.makeDisk(database)
      disk.logs.set(log + 1, logs.get(log)!)
      assert.include((yield* corruptionOf(disk, false)).path, `redo log ${log}`)
    })
  )

  it.live("a redo log that lies there under the name of another one is told by its first line", () =>
    Effect.gen(function* () {
      const { database, logs } = yield* left
      const log = Math.max(...logs.keys())
      const disk = MemoryPersistence.makeDisk(database)
      for (const number of [log, log + 1]) disk.logs.set(number, logs.get(log)!)
      const reason = yield* corruptionOf(disk, true)
      assert.deepInclude(reason, { path: `memory, redo log ${log + 1}`, offset: 0 })
      assert.include(reason.detail, `it is redo log ${log}, under another name`)
    })
  )
})
