import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as PowerLoss from "../src/PowerLossFileSystem.ts"

const encode = (content: string) => new TextEncoder().encode(content)

/** Appends to a file, and says whether that is to be durable. */
const append = (path: string, content: string, synced: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open(path, { flag: "a" })
      yield* file.writeAll(encode(content))
      if (synced) yield* file.sync
    })
  )

/** fsync of a file or of a directory. */
const sync = (path: string) =>
  Effect.scoped(
    Effect.flatMap(FileSystem.FileSystem, (fs) =>
      Effect.flatMap(fs.open(path, { flag: "r" }), (file) => file.sync)
    )
  )

/** Everything on the disk, by path; `null` for directories. */
const content = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const found: Record<string, string | null> = {}
  for (const path of (yield* fs.readDirectory("/", { recursive: true })).sort()) {
    if (path === "tmp") continue
    const { type } = yield* fs.stat(`/${path}`)
    found[path] = type === "File" ? yield* fs.readFileString(`/${path}`) : null
  }
  return found
})

const run = <A, E>(disk: PowerLoss.Disk, program: Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.provide(program, disk.layer)

/** What is on a disk after a program and a power cut. */
const after = <E>(survival: PowerLoss.Survival, program: Effect.Effect<unknown, E, FileSystem.FileSystem>) =>
  Effect.gen(function* () {
    const disk = PowerLoss.makeDisk()
    yield* run(disk, program)
    disk.reboot(survival)
    return yield* run(disk, content)
  })

const codeOf = (error: PlatformError): unknown => {
  const { cause } = error.reason
  return typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
}

const keepEntries = { data: "dropped", entries: "kept" } as const
const keepData = { data: "kept", entries: "dropped" } as const

describe("PowerLossFileSystem, what survives a power cut:", () => {
  const written = Effect.gen(function* () {
    yield* append("/f", "one", true)
    yield* sync("/")
    yield* append("/f", "two", false)
    yield* append("/f", "three", false)
  })

  it.effect("of a file, what was synced; the rest as it pleases", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, written), { f: "one" })
      assert.deepStrictEqual(yield* after(PowerLoss.kept, written), { f: "onetwothree" })
      for (const [torn, expected] of [
        [0, "one"],
        [1, "onet"],
        [3, "onetwo"],
        [5, "onetwoth"],
        [99, "onetwothree"]
      ] as const) {
        assert.deepStrictEqual(yield* after({ data: { torn }, entries: "kept" }, written), { f: expected })
      }
    })
  )

  it.effect("a file whose name was not synced is gone, even if what it holds was", () =>
    Effect.gen(function* () {
      const program = append("/f", "one", true)
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program), {})
      assert.deepStrictEqual(yield* after(keepData, program), {})
      assert.deepStrictEqual(yield* after(keepEntries, program), { f: "one" })
    })
  )

  it.effect("a file whose name was synced and not what it holds is empty", () =>
    Effect.gen(function* () {
      const program = Effect.andThen(append("/f", "one", false), sync("/"))
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program), { f: "" })
    })
  )

  it.effect("a file in a directory that nobody synced in its own directory is gone", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.makeDirectory("/d/e", { recursive: true })
        yield* append("/d/e/f", "one", true)
        yield* sync("/d/e")
        yield* sync("/d")
      })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program), {})
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, Effect.andThen(program, sync("/"))), {
        d: null,
        "d/e": null,
        "d/e/f": "one"
      })
    })
  )

  it.effect("a rename that was not synced is either side, and after a sync the new one", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* append("/old", "old", true)
        yield* append("/new", "new", true)
        yield* sync("/")
        yield* fs.rename("/new", "/old")
      })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program), { old: "old", new: "new" })
      assert.deepStrictEqual(yield* after(PowerLoss.kept, program), { old: "new" })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, Effect.andThen(program, sync("/"))), {
        old: "new"
      })
      const seen = new Set<string>()
      for (let seed = 0; seed < 20; seed++) seen.add(JSON.stringify(yield* after({ seed }, program)))
      assert.deepStrictEqual([...seen].sort(), [
        JSON.stringify({ new: "new", old: "old" }),
        JSON.stringify({ old: "new" })
      ])
    })
  )

  it.effect("a rename of what was not synced may leave an empty file under the name of the good one", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* append("/good", "good", true)
        yield* sync("/")
        yield* append("/next", "next", false)
        yield* fs.rename("/next", "/good")
      })
      assert.deepStrictEqual(yield* after(keepEntries, program), { good: "" })
    })
  )

  it.effect("a rename between directories may be known to one of them only", () =>
    Effect.gen(function* () {
      const program = (synced: string) =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          yield* fs.makeDirectory("/a")
          yield* fs.makeDirectory("/b")
          yield* sync("/")
          yield* append("/a/f", "one", true)
          yield* sync("/a")
          yield* fs.rename("/a/f", "/b/f")
          yield* sync(synced)
        })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program("/b")), {
        a: null,
        "a/f": "one",
        b: null,
        "b/f": "one"
      })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program("/a")), { a: null, b: null })
    })
  )

  it.effect("a removal and a link that were not synced never happened", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* append("/f", "one", true)
        yield* append("/g", "two", true)
        yield* sync("/")
        yield* fs.remove("/f")
        yield* fs.link("/g", "/h")
      })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program), { f: "one", g: "two" })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, Effect.andThen(program, sync("/"))), {
        g: "two",
        h: "two"
      })
    })
  )

  it.effect("two names of one file are still one file", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(
        disk,
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          yield* append("/f", "one", true)
          yield* fs.link("/f", "/g")
          yield* sync("/")
        })
      )
      disk.reboot()
      yield* run(disk, append("/f", "two", false))
      assert.deepStrictEqual(yield* run(disk, content), { f: "onetwo", g: "onetwo" })
    })
  )

  it.effect("a truncation that was not synced may be undone", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* append("/f", "one", true)
        yield* sync("/")
        yield* fs.truncate("/f", 1)
        yield* append("/f", "two", false)
      })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, program), { f: "one" })
      assert.deepStrictEqual(yield* after(PowerLoss.kept, program), { f: "otwo" })
      assert.deepStrictEqual(yield* after({ data: { torn: 1 }, entries: "kept" }, program), { f: "ot" })
      assert.deepStrictEqual(yield* after(PowerLoss.dropped, Effect.andThen(program, sync("/f"))), {
        f: "otwo"
      })
    })
  )

  it.effect("writes that were not synced arrive in any order, with zeros where one is missing", () =>
    Effect.gen(function* () {
      const seen = new Set<string | null | undefined>()
      for (let seed = 0; seed < 200; seed++) seen.add((yield* after({ seed }, written))["f"])
      for (const expected of ["one", "onetwo", "onetwothree", "one\0\0\0three", "onetw", "one\0\0\0"]) {
        assert.isTrue(seen.has(expected), `${JSON.stringify(expected)} among ${JSON.stringify([...seen])}`)
      }
      for (const found of seen) assert.isTrue(found?.startsWith("one"))
    })
  )

  it.effect("the same seed leaves the same", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 20; seed++) {
        assert.deepStrictEqual(yield* after({ seed }, written), yield* after({ seed }, written))
      }
    })
  )

  const name = Schema.Literals(["a", "b", "c"])
  const Step = Schema.TaggedUnion({
    Append: { name, text: Schema.Literals(["x", "yy", "zzz"]) },
    Rename: { name, to: name },
    Remove: { name },
    Sync: { name },
    SyncDirectory: {}
  })

  it.effect.prop(
    "what was synced last, with its name, is there whatever happens to the rest",
    { steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 5, maxLength: 40 }), seed: Schema.Int },
    ({ steps, seed }) =>
      Effect.gen(function* () {
        const disk = PowerLoss.makeDisk()
        yield* run(
          disk,
          Effect.gen(function* () {
            for (const step of steps) {
              const fs = yield* FileSystem.FileSystem
              yield* Effect.ignore(
                step._tag === "Append"
                  ? append(`/${step.name}`, step.text, false)
                  : step._tag === "Rename"
                    ? fs.rename(`/${step.name}`, `/${step.to}`)
                    : step._tag === "Remove"
                      ? fs.remove(`/${step.name}`)
                      : sync(step._tag === "Sync" ? `/${step.name}` : "/")
              )
            }
            yield* append("/kept", "k", true)
            yield* sync("/")
          })
        )
        const before = yield* run(disk, content)
        for (const name of Object.keys(before)) yield* run(disk, sync(`/${name}`))
        for (const survival of [...PowerLoss.survivals, { seed }]) {
          assert.deepStrictEqual(yield* run(disk.surviving(survival), content), before)
        }
        // What comes after a sync touches nothing that was there.
        for (const name of Object.keys(before)) yield* run(disk, append(`/${name}`, "tail", false))
        for (const survival of [...PowerLoss.survivals, { seed }]) {
          const found = yield* run(disk.surviving(survival), content)
          for (const [name, text] of Object.entries(before))
            assert.isTrue(found[name]?.startsWith(text ?? ""))
        }
      }),
    { arbitrary: { runs: 50, size: 60 } }
  )
})

describe("PowerLossFileSystem, the power:", () => {
  /** Replaces a file in one step, as it is done right; the flags leave a step out. */
  const replace = (text: string, options: { readonly file: boolean; readonly directory: boolean }) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      yield* Effect.scoped(
        Effect.gen(function* () {
          const file = yield* fs.open("/state.new", { flag: "w" })
          yield* file.writeAll(encode(text))
          if (options.file) yield* file.sync
        })
      )
      yield* fs.rename("/state.new", "/state")
      if (options.directory) yield* sync("/")
    })

  /** What is found after cutting the power at each call of a scenario, for each way to survive. */
  const explore = (options: { readonly file: boolean; readonly directory: boolean }) =>
    Effect.gen(function* () {
      const found: Array<{ readonly acknowledged: number; readonly state: string | null | undefined }> = []
      let cuts = 0
      for (let cut = 1; ; cut++) {
        const disk = PowerLoss.makeDisk()
        yield* run(disk, replace("version 0", { file: true, directory: true }))
        disk.cutPowerAt(cut)
        let acknowledged = 0
        const exit = yield* disk.untilCut(
          run(
            disk,
            Effect.gen(function* () {
              for (let version = 1; version <= 3; version++) {
                yield* replace(`version ${version}`, options)
                acknowledged = version
              }
            })
          )
        )
        if (Option.isSome(exit)) break
        cuts += 1
        for (const survival of PowerLoss.survivals) {
          found.push({ acknowledged, state: (yield* run(disk.surviving(survival), content))["state"] })
        }
      }
      return { cuts, found }
    })

  const good = ({
    acknowledged,
    state
  }: {
    readonly acknowledged: number
    readonly state: string | null | undefined
  }) => state === `version ${acknowledged}` || state === `version ${acknowledged + 1}`

  it.effect("a file that is replaced as it should be is whole after a cut at any call", () =>
    Effect.gen(function* () {
      const { cuts, found } = yield* explore({ file: true, directory: true })
      // Each version: open, write, fsync, rename, fsync of the directory.
      assert.strictEqual(cuts, 15)
      assert.deepStrictEqual(
        found.filter((one) => !good(one)),
        []
      )
    })
  )

  it.effect("leaving out a sync of the file or of the directory shows", () =>
    Effect.gen(function* () {
      const torn = yield* explore({ file: false, directory: true })
      assert.isTrue(torn.found.some(({ state }) => state === ""))
      const lost = yield* explore({ file: true, directory: false })
      assert.isTrue(lost.found.some(({ acknowledged, state }) => acknowledged > 1 && state === "version 0"))
    })
  )

  it.effect("calls from the one at which it is cut on never come back, in no process", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(disk, append("/f", "one", true))
      disk.cutPowerAt(2)
      const before = disk.mutations
      const first = yield* Effect.forkChild(run(disk, append("/f", "two", true)))
      const other = yield* Effect.forkChild(run(disk, Effect.andThen(disk.whenCut, content)))
      yield* disk.whenCut
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      assert.isUndefined(first.pollUnsafe())
      assert.isUndefined(other.pollUnsafe())
      assert.strictEqual(disk.mutations, before + 2)
      disk.reboot(PowerLoss.kept)
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      assert.isUndefined(first.pollUnsafe())
      assert.deepStrictEqual(yield* run(disk, content), { f: "onetwo" })
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(other)
    })
  )

  it.effect("a file that was open before does not work after", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      const file = yield* Effect.provide(
        Effect.flatMap(FileSystem.FileSystem, (fs) => fs.open("/f", { flag: "w" })),
        disk.layer
      )
      disk.reboot(PowerLoss.kept)
      const late = yield* Effect.forkChild(file.writeAll(encode("late")), { startImmediately: true })
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      assert.isUndefined(late.pollUnsafe())
      assert.deepStrictEqual(yield* run(disk, content), { f: "" })
      yield* Fiber.interrupt(late)
    })
  )

  it.effect("an fsync at which it is cut made nothing durable", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(disk, Effect.andThen(append("/f", "one", true), sync("/")))
      disk.cutPowerAt(2)
      assert.isTrue(Option.isNone(yield* disk.untilCut(run(disk, append("/f", "two", true)))))
      assert.deepStrictEqual(yield* run(disk.surviving(PowerLoss.dropped), content), { f: "one" })
      assert.deepStrictEqual(yield* run(disk.surviving(PowerLoss.kept), content), { f: "onetwo" })
    })
  )

  it.effect("a program that ends before is not disturbed, and its exit is returned", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      disk.cutPowerAt(100)
      const exit = yield* disk.untilCut(
        run(disk, Effect.andThen(append("/f", "one", true), Effect.fail("enough")))
      )
      assert.deepStrictEqual(Option.map(exit, Exit.isFailure), Option.some(true))
      assert.deepStrictEqual(yield* run(disk, content), { f: "one" })
    })
  )
})

describe("PowerLossFileSystem, calls:", () => {
  it.effect("are counted and listed, those that change something with their number", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(
        disk,
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          yield* append("/f", "one", true)
          yield* append("/f", "two", false)
          yield* fs.readFile("/f")
          yield* fs.link("/f", "/g")
        })
      )
      assert.deepStrictEqual(
        disk.operations.map(({ name, mutation, bytes, to }) => [name, mutation, bytes ?? to]),
        [
          ["open", 1, undefined],
          ["write", 2, 3],
          ["fsync", 3, undefined],
          ["close", undefined, undefined],
          ["open", undefined, undefined],
          ["write", 4, 3],
          ["close", undefined, undefined],
          ["read", undefined, undefined],
          ["link", 5, "/g"]
        ]
      )
      assert.strictEqual(disk.mutations, 5)
    })
  )

  it.effect("fail where they are told to, with the system's error, and change nothing", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      disk.failAt(2, "EIO")
      const error = yield* Effect.flip(run(disk, append("/f", "one", true)))
      assert.strictEqual(codeOf(error), "EIO")
      assert.strictEqual(error.reason._tag, "Unknown")
      assert.deepStrictEqual(yield* run(disk, content), { f: "" })
      yield* run(disk, append("/f", "two", true))
      assert.deepStrictEqual(yield* run(disk, content), { f: "two" })
    })
  )

  it.effect("a write that meets a full disk arrives in part, and says so", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      disk.failAt(2, { code: "ENOSPC", partial: 2 })
      const error = yield* Effect.flip(run(disk, append("/f", "one", true)))
      assert.strictEqual(codeOf(error), "ENOSPC")
      assert.deepStrictEqual(yield* run(disk, content), { f: "on" })
      disk.failAt(1, { code: "ENOSPC", partial: 1 })
      const written = yield* run(
        disk,
        Effect.scoped(
          Effect.gen(function* () {
            const fs = yield* FileSystem.FileSystem
            const file = yield* fs.open("/f", { flag: "a" })
            const first = yield* file.write(encode("xyz"))
            const second = yield* Effect.flip(file.write(encode("yz")))
            return [first, codeOf(second), yield* file.write(encode("z"))]
          })
        )
      )
      assert.deepStrictEqual(written, [1, "ENOSPC", 1])
      assert.deepStrictEqual(yield* run(disk, content), { f: "onxz" })
    })
  )

  it.effect("fail as long as a condition says so", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(disk, append("/f", "one", true))
      disk.failWhen(({ name }) => (name === "write" || name === "mkdir" ? "EROFS" : undefined))
      assert.strictEqual(codeOf(yield* Effect.flip(run(disk, append("/f", "two", true)))), "EROFS")
      const mkdir = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeDirectory("/d"))
      assert.strictEqual(codeOf(yield* Effect.flip(run(disk, mkdir))), "EROFS")
      assert.deepStrictEqual(yield* run(disk, content), { f: "one" })
      disk.failWhen(undefined)
      yield* run(disk, Effect.andThen(mkdir, append("/f", "two", true)))
      assert.deepStrictEqual(yield* run(disk, content), { d: null, f: "onetwo" })
    })
  )

  it.effect("after a failed fsync the next one succeeds, and what failed is lost all the same", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(disk, Effect.andThen(append("/f", "one", true), sync("/")))
      disk.failAt(2, "EIO")
      assert.strictEqual(codeOf(yield* Effect.flip(run(disk, append("/f", "two", true)))), "EIO")
      yield* run(disk, sync("/f"))
      assert.deepStrictEqual(yield* run(disk, content), { f: "onetwo" })
      yield* run(disk, append("/f", "three", true))
      assert.deepStrictEqual(yield* run(disk.surviving(PowerLoss.dropped), content), { f: "one\0\0\0three" })
    })
  )

  it.effect("are refused where the permissions do not allow them", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      yield* run(
        disk,
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          yield* fs.makeDirectory("/d")
          yield* fs.writeFileString("/d/f", "one")
          yield* fs.chmod("/d", 0o555)
          for (const refused of [
            fs.writeFileString("/d/g", "two"),
            fs.remove("/d/f"),
            fs.rename("/d/f", "/d/g"),
            fs.link("/d/f", "/d/g"),
            fs.makeDirectory("/d/e"),
            fs.access("/d", { writable: true })
          ]) {
            assert.strictEqual((yield* Effect.flip(refused)).reason._tag, "PermissionDenied")
          }
          yield* fs.chmod("/d/f", 0o444)
          assert.strictEqual(
            (yield* Effect.flip(fs.writeFileString("/d/f", "two"))).reason._tag,
            "PermissionDenied"
          )
          assert.strictEqual(yield* fs.readFileString("/d/f"), "one")
          yield* fs.chmod("/d/f", 0)
          assert.strictEqual((yield* Effect.flip(fs.readFile("/d/f"))).reason._tag, "PermissionDenied")
          yield* fs.chmod("/d", 0)
          assert.strictEqual((yield* Effect.flip(fs.stat("/d/f"))).reason._tag, "PermissionDenied")
        })
      )
    })
  )

  it.effect("are carried out even if who made them is interrupted meanwhile", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      const fiber = yield* Effect.forkChild(
        run(
          disk,
          Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeDirectory("/d"))
        ),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* run(disk, content), { d: null })
    })
  )

  it.effect("refuse names that are too long, and paths with null bytes", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      const writing = (path: string) =>
        run(
          disk,
          Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(path, "x"))
        )
      assert.strictEqual(codeOf(yield* Effect.flip(writing(`/${"é".repeat(128)}`))), "ENAMETOOLONG")
      assert.strictEqual((yield* Effect.flip(writing("/a\0b"))).reason._tag, "BadArgument")
      yield* writing(`/${"é".repeat(127)}`)
    })
  )
})

describe("PowerLossFileSystem, processes:", () => {
  it.effect("one that is frozen goes on where it was when it is thawed", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      const one = disk.makeProcess()
      const fiber = yield* Effect.forkChild(Effect.provide(append("/f", "one", true), one.layer))
      one.freeze()
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      yield* run(disk, append("/g", "two", true))
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(yield* run(disk, content), { g: "two" })
      one.thaw()
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* run(disk, content), { f: "one", g: "two" })
    })
  )

  it.effect("one that is killed never comes back, and what it wrote stays for the others", () =>
    Effect.gen(function* () {
      const disk = PowerLoss.makeDisk()
      const one = disk.makeProcess()
      yield* Effect.provide(append("/f", "one", false), one.layer)
      one.kill()
      const fiber = yield* Effect.forkChild(Effect.provide(append("/f", "two", false), one.layer))
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(yield* run(disk, content), { f: "one" })
      yield* Fiber.interrupt(fiber)
    })
  )
})
