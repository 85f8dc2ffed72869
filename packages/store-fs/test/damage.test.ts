/** Every file of a store is cut at every byte, and altered at bytes all over it. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { StoreError } from "@waymark/core/Store"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import type { Instance, Told } from "./scenario.ts"
import { completed, makeUser, noted, nothingTold, open } from "./scenario.ts"

const directory = "/disk/store"

/** A store that was compacted and written on, with several segments, left by a crash. */
const left = Effect.gen(function* () {
  const disk = PowerLossFileSystem.makeDisk()
  const machine = makeMachine()
  const told = nothingTold()
  yield* Effect.scoped(
    Effect.gen(function* () {
      const { maintenance, store } = yield* open(disk.layer, machine, { segmentSize: 700 })
      const user = makeUser(store, told)
      const one = yield* user.create("one", "holder")
      const doomed = yield* user.create("doomed", "holder")
      yield* user.append(one, noted("a"), noted("b"))
      yield* user.append(doomed, noted("c"), completed)
      yield* user.sync(one)
      yield* user.sync(doomed)
      yield* store.release(doomed)
      const two = yield* user.create("two", "holder")
      yield* user.append(two, noted("d"))
      yield* user.append(one, noted("e"))
      yield* Effect.all([user.sync(one), user.sync(two)], { concurrency: 2 })
      yield* user.send("two", "command")
      yield* user.delete("doomed")
      yield* user.setMeta("cursor", "1")
      yield* user.putArtifact(new Uint8Array([1, 2, 3]))
      yield* user.append(two, noted("g"), completed)
      yield* user.sync(two)
      yield* maintenance.compact
    })
  )
  const second = yield* Effect.scoped(
    Effect.gen(function* () {
      const { store } = yield* open(disk.layer, machine, { segmentSize: 700 })
      const user = makeUser(store, told)
      const one = yield* user.acquire("one")
      yield* user.append(one, noted("h"))
      yield* user.sync(one)
      const three = yield* user.create("three", "holder")
      yield* user.append(three, noted("i"))
      yield* user.sync(three)
      // The power goes before it is closed.
      return disk.surviving(PowerLossFileSystem.dropped)
    })
  )
  // Nobody who looks on has to wait for anything.
  const later = makeMachine({ hurried: true })
  later.reboot()
  return { disk: second, machine: later, told }
})

const filesOf = (disk: PowerLossFileSystem.Disk) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const files = new Map<string, Uint8Array>()
    for (const name of yield* fs.readDirectory(directory, { recursive: true })) {
      const path = `${directory}/${name}`
      if ((yield* fs.stat(path)).type === "File") files.set(path, yield* fs.readFile(path))
    }
    return files
  }).pipe(Effect.provide(disk.layer))

const corruption = (error: { readonly _tag: string }) =>
  error._tag === "StoreError" && (error as StoreError).reason._tag === "Corrupt"
    ? ((error as StoreError).reason as Extract<StoreError["reason"], { _tag: "Corrupt" }>)
    : undefined

/** What an alteration can do: runs that may be said to be damaged, in this file, and those of which less may be there. */
interface Harm {
  readonly path: string
  readonly harmed: (run: string) => boolean
  /** Nobody can tell a line that a crash has torn from one that was torn later. */
  readonly torn: (run: string) => boolean
}

/** What is wrong with what a store shows. */
const judge = (
  store: Instance,
  told: Told,
  { harmed, path, torn }: Harm
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const problems: Array<string> = []
    const says = (what: string, error: { readonly _tag: string; readonly message: string }, may: boolean) => {
      const reason = corruption(error)
      if (!may || reason === undefined) problems.push(`${what}: ${error.message}`)
      else if (reason.path !== path || reason.offset === undefined)
        problems.push(`${what} is damaged elsewhere: ${error.message}`)
    }
    for (const [run, journal] of told.journals) {
      if (told.deleted.has(run)) {
        const found = yield* Effect.result(store.get(run))
        if (Result.isSuccess(found) && !torn(run)) problems.push(`${run} was deleted, and is there`)
        continue
      }
      const lines = journal.entries.map(({ line }) => line)
      const read = yield* Effect.result(store.read(run, { limit: 1000 }))
      if (Result.isFailure(read)) {
        if (read.failure._tag === "RunNotFound" && torn(run)) continue
        says(run, read.failure, harmed(run))
        // What lies before the damage is there.
        const before = yield* Effect.result(Effect.andThen(store.get(run), store.read(run, { to: 0 })))
        if (Result.isSuccess(before) && before.success[0]?.line !== lines[0])
          problems.push(`${run} does not begin with what was written`)
        continue
      }
      const found = read.success.map(({ line }) => line)
      if (found.some((line, seq) => line !== lines[seq])) problems.push(`${run} is not what was written`)
      if (found.length < lines.length && !torn(run))
        problems.push(`${run} has ${found.length} entries only, and nobody is told`)
      if (found.length > 0 && told.ends.get(run)?.has(found.length - 1) !== true)
        problems.push(`${run} ends at ${found.length - 1}, where no batch ends`)
      const inbox = yield* Effect.result(store.inbox(run, {}))
      if (Result.isFailure(inbox)) says(`the inbox of ${run}`, inbox.failure, harmed(run))
      else {
        const ids = inbox.success.map(({ command }) => command.id)
        if (!torn(run) && ids.join() !== [...(told.sent.get(run) ?? [])].join())
          problems.push(`${run} has the commands ${ids.join()}, and nobody is told`)
      }
    }
    const given = new Map<string, number>()
    for (let cursor: string | undefined; ;) {
      const page = yield* Effect.result(store.feed({ limit: 3, ...(cursor === undefined ? {} : { cursor }) }))
      if (Result.isFailure(page)) {
        says("the feed", page.failure, [...told.journals.keys()].some(harmed))
        break
      }
      for (const { event, line } of page.success.entries) {
        const { run, seq } = event
        if (line !== told.journals.get(run)?.entries[seq]?.line)
          problems.push(`the feed has another ${run} ${seq}`)
        if (seq !== (given.get(run) ?? -1) + 1)
          problems.push(`the feed has ${run} ${seq} after ${given.get(run)}`)
        given.set(run, seq)
      }
      cursor = page.success.cursor
      if (page.success.entries.length > 0) continue
      for (const [run, { entries }] of told.journals) {
        if (told.deleted.has(run) || torn(run) || given.get(run) === entries.length - 1) continue
        problems.push(`the feed has ${run} up to ${given.get(run)}, and nobody is told`)
      }
      break
    }
    for (const [key, { value }] of told.meta) {
      const found = yield* Effect.result(store.getMeta(key))
      if (Result.isFailure(found)) says(key, found.failure, path.includes("/meta/"))
      else if (found.success !== value) problems.push(`${key} is ${found.success}`)
    }
    for (const [hash, bytes] of told.artifacts) {
      const found = yield* Effect.result(store.getArtifact(hash))
      if (Result.isFailure(found)) says("an artifact", found.failure, path.includes("/artifacts/"))
      else if (found.success === undefined || !Buffer.from(found.success).equals(bytes))
        problems.push(`an artifact is ${String(found.success)}`)
    }
    return problems
  })

type Left = Effect.Success<typeof left>

/** Opens the store with one file altered, and says what is wrong. */
const attempt = (
  { disk, machine, told }: Left,
  path: string,
  bytes: Uint8Array,
  harm: Omit<Harm, "path">
): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.gen(function* () {
    const fs = Context.get(yield* Layer.build(disk.layer), FileSystem.FileSystem)
    const before = yield* fs.readFile(path)
    yield* fs.writeFile(path, bytes)
    yield* Effect.addFinalizer(() => Effect.orDie(fs.writeFile(path, before)))
    const opened = yield* Effect.result(open(disk.layer, machine, { readOnly: true }))
    if (Result.isFailure(opened)) {
      const reason = corruption(opened.failure as { readonly _tag: string })
      // Without these nobody knows what counts.
      const everything = /format\.json$|\.seal$|\/leases\/|\/claims\//.test(path)
      return everything && reason?.path === path ? [] : [`it cannot be opened: ${String(opened.failure)}`]
    }
    return yield* judge(opened.success.store, told, { path, ...harm })
  }).pipe(Effect.scoped)

/** The segment that was written last, of all or of a series. */
const newestOf = (
  files: ReadonlyMap<string, unknown>,
  series = `${directory}/segments/`
): string | undefined =>
  [...files.keys()]
    .filter((path) => path.startsWith(series))
    .sort()
    .pop()

/** The runs that a line of a segment is about. */
const runsIn = (text: string): ReadonlySet<string> =>
  new Set([...text.matchAll(/"run":"([^"]*)"/g)].map(([, run]) => run!))

describe("damage", () => {
  it.live(
    "a file that is cut at any byte: what is left is shown, or the file is named, and other runs are not concerned",
    () =>
      Effect.gen(function* () {
        const place = yield* left
        const problems: Array<string> = []
        let cuts = 0
        const files = yield* filesOf(place.disk)
        for (const [path, bytes] of files) {
          const text = Buffer.from(bytes).toString("latin1")
          for (let at = 0; at < bytes.length; at++) {
            // The end of the last segment of a series may never have been written; of others it is known that it was.
            const isLast = path === newestOf(files, path.slice(0, path.lastIndexOf("-") + 1))
            // Who has something in the part that is gone.
            const gone = runsIn(text.slice(text.lastIndexOf("\n", at - 1) + 1))
            const isLease = path.includes("/leases/")
            const isSegment = path.includes("/segments/")
            const found = yield* attempt(place, path, bytes.subarray(0, at), {
              harmed: () => isSegment || isLease,
              torn: (run) => isLease || (isLast && gone.has(run))
            })
            cuts += 1
            for (const problem of found) problems.push(`${path}, cut at ${at} of ${bytes.length}: ${problem}`)
          }
        }
        assert.deepStrictEqual(problems.slice(0, 20), [])
        assert.isAbove(cuts, 2000)
      }),
    600_000
  )

  it.live(
    "a file that is altered: nothing else is shown than what was written, and only the runs of that line are concerned",
    () =>
      Effect.gen(function* () {
        const place = yield* left
        const problems: Array<string> = []
        const files = yield* filesOf(place.disk)
        const newest = newestOf(files)
        for (const [path, bytes] of files) {
          const text = Buffer.from(bytes).toString("latin1")
          for (let at = 0; at < bytes.length; at += 11) {
            const altered = bytes.slice()
            altered[at]! ^= 1 << (at & 7)
            const start = text.lastIndexOf("\n", at - 1) + 1
            const end = text.indexOf("\n", at)
            // A line end that is gone joins two lines.
            const lines = text.slice(start, text[at] === "\n" ? text.indexOf("\n", at + 1) : end)
            const concerned = runsIn(lines)
            // What a crash left at the end, after the last mark, is a torn tail if anything in it is not whole.
            const rest = path === newest ? runsIn(text.slice(start)) : new Set<string>()
            // A process whose lease says something else is taken for alive: what it left is not seen yet.
            const isLease = path.includes("/leases/")
            const table = /-\d+\.\d+\.jsonl$/.test(path) && /"\$":"(segment|kept)"/.test(lines)
            const found = yield* attempt(place, path, altered, {
              harmed: (run) => isLease || table || concerned.has(run) || rest.has(run),
              torn: (run) => isLease || rest.has(run)
            })
            for (const problem of found) {
              problems.push(`${path}, byte ${at} (${lines.slice(0, 60)}): ${problem}`)
            }
          }
        }
        assert.deepStrictEqual(problems.slice(0, 20), [])
      }),
    600_000
  )
})
