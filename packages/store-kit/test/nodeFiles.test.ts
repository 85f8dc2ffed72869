import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as NodeFs from "node:fs"
import { codeOf } from "../src/Failures.ts"
import * as NodeFiles from "../src/NodeFiles.ts"

/** A directory that is removed with the scope. */
const temporaryDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.makeTempDirectoryScoped({ prefix: "waymark-files-" })
}).pipe(Effect.provide(NodeFileSystem.layer))

/** What came of an operation, as the store tells outcomes apart. */
const outcomeOf = <A>(effect: Effect.Effect<A, PlatformError, Scope.Scope>) =>
  Effect.map(Effect.result(Effect.scoped(effect)), (result) =>
    result._tag === "Success"
      ? { value: result.success }
      : { tag: result.failure.reason._tag, code: codeOf(result.failure) }
  )

type Operation = (
  fs: FileSystem.FileSystem,
  directory: string
) => Effect.Effect<unknown, PlatformError, Scope.Scope>

const large = Buffer.alloc(200 * 1024, "large ")
const small = Buffer.from("small")

/** A directory in which there is one of everything. */
const furnish = (directory: string): void => {
  NodeFs.mkdirSync(`${directory}/folder`)
  NodeFs.writeFileSync(`${directory}/small`, small)
  NodeFs.writeFileSync(`${directory}/large`, large)
  NodeFs.writeFileSync(`${directory}/empty`, "")
}

const operations: ReadonlyArray<readonly [name: string, operation: Operation]> = [
  ...["small", "large", "empty", "folder", "missing", "small/below"].flatMap(
    (name): ReadonlyArray<readonly [string, Operation]> => [
      [`exists ${name}`, (fs, directory) => fs.exists(`${directory}/${name}`)],
      [`readFile ${name}`, (fs, directory) => Effect.map(fs.readFile(`${directory}/${name}`), String)],
      [`readDirectory ${name}`, (fs, directory) => fs.readDirectory(`${directory}/${name}`)],
      [`remove ${name}`, (fs, directory) => Effect.ignore(fs.remove(`${directory}/${name}`))],
      [
        `stat ${name}`,
        (fs, directory) =>
          Effect.map(fs.stat(`${directory}/${name}`), ({ mtime, size, type }) => ({
            type,
            size: type === "File" ? Number(size) : 0,
            hasTime: Option.isSome(mtime)
          }))
      ],
      ...(["r", "a+", "ax"] as const).map((flag): readonly [string, Operation] => [
        `open ${name} ${flag}`,
        (fs, directory) => Effect.as(fs.open(`${directory}/${name}`, { flag }), "open")
      ])
    ]
  ),
  [
    "append and read back",
    (fs, directory) =>
      Effect.gen(function* () {
        const file = yield* fs.open(`${directory}/log`, { flag: "a+" })
        const counts = [yield* file.write(small), yield* file.write(large)]
        yield* file.writeAll(large)
        yield* file.writeAll(small)
        yield* file.sync
        const head = Buffer.alloc(3)
        counts.push(yield* file.read(head, { position: 2n }))
        const all = Buffer.alloc(1024 * 1024)
        counts.push(yield* file.read(all, { position: 0n }))
        counts.push(yield* file.read(all, { position: 10_000_000n }))
        return { counts, head: String(head), size: Number((yield* file.stat).size) }
      })
  ],
  [
    "read on from where reading stopped",
    (fs, directory) =>
      Effect.gen(function* () {
        const file = yield* fs.open(`${directory}/small`)
        const first = Buffer.alloc(2)
        const second = Buffer.alloc(2)
        yield* file.read(first)
        yield* file.read(second)
        const rest = yield* file.readAlloc(10)
        const end = yield* file.readAlloc(10)
        yield* file.seek(1n, "start")
        yield* file.seek(1n, "current")
        const again = yield* file.readAlloc(1)
        return [first, second, ...[rest, end, again].map(Option.getOrElse(() => "nothing"))].map(String)
      })
  ],
  [
    "append to what is there, and cut it",
    (fs, directory) =>
      Effect.gen(function* () {
        const file = yield* fs.open(`${directory}/small`, { flag: "a" })
        yield* file.writeAll(Buffer.from(" and more"))
        yield* file.truncate(7)
        yield* file.writeAll(Buffer.from("!"))
        return String(yield* fs.readFile(`${directory}/small`))
      })
  ],
  [
    "write to what is open to read",
    (fs, directory) => Effect.flatMap(fs.open(`${directory}/small`), (file) => file.write(small))
  ],
  ["sync a directory", (fs, directory) => Effect.flatMap(fs.open(`${directory}/folder`), (file) => file.sync)]
]

describe("the file system that FsStore.layer uses", () => {
  for (const [name, operation] of operations) {
    it.live(`does what Effect's does, and fails as that does: ${name}`, () =>
      Effect.gen(function* () {
        const outcomes = []
        for (const layer of [NodeFileSystem.layer, NodeFiles.layer]) {
          const directory = yield* temporaryDirectory
          furnish(directory)
          const outcome = yield* Effect.provide(
            FileSystem.FileSystem.use((fs) => outcomeOf(operation(fs, directory))),
            layer
          )
          outcomes.push({ outcome, left: NodeFs.readdirSync(directory).sort() })
        }
        assert.deepStrictEqual(outcomes[1], outcomes[0])
      }).pipe(Effect.scoped)
    )
  }

  it.live("closes what it opened with the scope, and then no call does anything", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporaryDirectory
      const scope = yield* Scope.make()
      const file = yield* Scope.provide(fs.open(`${directory}/log`, { flag: "a+" }), scope)
      yield* file.writeAll(small)
      yield* Scope.close(scope, Exit.void)
      // The system gives the number of what was closed to what is opened next.
      const next = yield* fs.open(`${directory}/next`, { flag: "a+" })
      for (const call of [
        file.write(small),
        file.writeAll(large),
        file.sync,
        file.stat,
        file.read(Buffer.alloc(1), { position: 0n }),
        file.truncate(0)
      ]) {
        assert.strictEqual(codeOf(yield* Effect.flip(call)), "EBADF")
      }
      assert.strictEqual(NodeFs.readFileSync(`${directory}/log`, "utf8"), "small")
      assert.strictEqual(Number((yield* next.stat).size), 0)
    }).pipe(Effect.scoped, Effect.provide(NodeFiles.layer))
  )

  it.live("a full disk is an error that names it, whether little is written or much", () =>
    Effect.gen(function* () {
      // A device that is always full; there is none on other systems.
      if (!NodeFs.existsSync("/dev/full")) return
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open("/dev/full", { flag: "a" })
      for (const bytes of [small, large])
        assert.strictEqual(codeOf(yield* Effect.flip(file.writeAll(bytes))), "ENOSPC")
    }).pipe(Effect.scoped, Effect.provide(NodeFiles.layer))
  )

  it.live("a write that is interrupted is over before its file can be closed", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* temporaryDirectory
      const bytes = Buffer.alloc(64 * 1024 * 1024, "x")
      const path = `${directory}/written`
      const file = yield* fs.open(path, { flag: "a" })
      const writing = yield* Effect.forkChild(file.write(bytes), { startImmediately: true })
      yield* Fiber.interrupt(writing)
      assert.strictEqual(NodeFs.statSync(path).size, bytes.length)
    }).pipe(Effect.scoped, Effect.provide(NodeFiles.layer))
  )
})
