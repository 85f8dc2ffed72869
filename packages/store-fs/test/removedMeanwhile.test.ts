import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import { temporaryDirectory } from "./places.ts"
import { completed, makeUser, noted, nothingTold, open } from "./scenario.ts"

/** A file system on which a segment of a series is opened for the n-th time only when that is allowed. */
const gated = (series: string, n: number, reached: Latch.Latch, allowed: Latch.Latch) => {
  let opened = 0
  return Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({
      ...fs,
      open: (path, options) =>
        path.includes(`/segments/${series}`) && ++opened === n
          ? Effect.andThen(Effect.andThen(reached.open, allowed.await), fs.open(path, options))
          : fs.open(path, options)
    }))
  ).pipe(Layer.provide(NodeFileSystem.layer))
}

/** A directory with a series of a process that is gone: two runs, in segments of which the first may have been compacted. */
const place = Effect.fnUntraced(function* (compacted: boolean) {
  const directory = yield* temporaryDirectory
  const machine = makeMachine()
  const told = nothingTold()
  const scope = yield* Scope.make()
  const first = yield* Scope.provide(
    open(NodeFileSystem.layer, machine, { directory, segmentSize: 1000 }),
    scope
  )
  const writer = makeUser(first.store, told)
  const leases = yield* Effect.forEach(["early", "doomed"], (run) => writer.create(run, "holder"))
  for (let i = 0; i < 3; i++) {
    for (const lease of leases) {
      yield* writer.append(lease, noted("z".repeat(1000)))
      yield* writer.sync(lease)
    }
  }
  for (const lease of leases) yield* writer.append(lease, completed)
  yield* Scope.close(scope, Exit.void)
  const second = yield* open(NodeFileSystem.layer, machine, { directory })
  const user = makeUser(second.store, told)
  yield* user.create("kept")
  if (compacted) {
    yield* user.delete("early")
    yield* second.maintenance.compact
  }
  const left = (): ReadonlyArray<string> =>
    NodeFs.readdirSync(`${directory}/segments`).filter((name) => name.startsWith(first.store.owner))
  const remove = Effect.gen(function* () {
    if (!compacted) yield* user.delete("early")
    yield* user.delete("doomed")
    yield* second.maintenance.compact
    assert.deepStrictEqual(left(), [])
  })
  return { directory, left, machine, remove, series: first.store.owner }
})

describe("a series that another process removes while a store is opened", () => {
  for (const compacted of [false, true]) {
    it.live(
      `is no damage, whichever file is opened then${compacted ? ", also if it was compacted before" : ""}`,
      () =>
        Effect.gen(function* () {
          let held = true
          for (let n = 1; held; n++) {
            const { directory, left, machine, remove, series } = yield* place(compacted)
            assert.strictEqual(
              left().some((name) => name.endsWith(".1.jsonl")),
              compacted
            )
            const reached = Latch.makeUnsafe(false)
            const allowed = Latch.makeUnsafe(false)
            const opening = yield* Effect.forkChild(
              open(gated(series, n, reached, allowed), machine, { directory })
            )
            held = yield* Effect.raceFirst(
              Effect.as(reached.await, true),
              Effect.as(Fiber.await(opening), false)
            )
            if (!held) {
              assert.isAbove(n, 8)
              break
            }
            yield* remove
            yield* allowed.open
            const { maintenance, store } = yield* Fiber.join(opening)
            const { runs } = yield* store.list({})
            assert.deepStrictEqual(
              runs.map(({ run }) => run),
              ["kept"]
            )
            // An id of which nothing is there would be in doubt if something were damaged; and then there is no index.
            yield* makeUser(store, nothingTold()).create("doomed")
            yield* maintenance.writeIndex
            assert.isTrue(NodeFs.existsSync(`${directory}/index.json`))
          }
        }).pipe(Effect.scoped),
      60_000
    )
  }
})
