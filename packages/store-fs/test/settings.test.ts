import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, FileSystem, Layer } from "effect"
import { vi } from "vitest"
import { Store } from "@waymark/core/Store"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as FsStore from "@waymark/store-fs/FsStore"

/** Builds a store in a directory that is there, and tells whether anything is in it afterwards. */
const build = Effect.fnUntraced(
  function* (options: FsStore.Options) {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const built = yield* Effect.exit(
      Effect.scoped(Layer.build(Layer.fresh(FsStore.layer({ directory, ...options }))))
    )
    return { built, files: yield* fs.readDirectory(directory) }
  },
  Effect.scoped,
  Effect.provide(NodeFiles.layer)
)

const duration = (least: number) => `it must be a duration of at least ${least} ms, and less than 25 days`

describe("the options of a store in a directory", () => {
  const wrong: ReadonlyArray<readonly [FsStore.Options, ReadonlyArray<string>]> = [
    [{ directory: "" }, ['`directory` is ""; it must be a text that is not empty']],
    [{ directory: 12 as unknown as string }, ["`directory` is 12; it must be a text that is not empty"]],
    [{ leaseTtl: 0 }, [`\`leaseTtl\` is 0; ${duration(100)}`]],
    [{ leaseTtl: "99 millis" }, [`\`leaseTtl\` is "99 millis"; ${duration(100)}`]],
    [{ leaseTtl: Duration.infinity }, [`\`leaseTtl\` is Infinity; ${duration(100)}`]],
    [{ leaseTtl: "junk" as "1 second" }, [`\`leaseTtl\` is "junk"; ${duration(100)}`]],
    [{ heartbeat: 0 }, [`\`heartbeat\` is 0; ${duration(1)}`]],
    [
      { heartbeat: "10 seconds", leaseTtl: "1 second" },
      [
        "`heartbeat` is 10000 millis; it must be at most half of `leaseTtl`, which is 1000 ms, or a process that is alive is taken for dead"
      ]
    ],
    [{ pollInterval: Number.NaN }, [`\`pollInterval\` is NaN; ${duration(1)}`]],
    [{ pollInterval: "30 days" }, [`\`pollInterval\` is "30 days"; ${duration(1)}`]],
    [{ segmentSize: 0.5 }, ["`segmentSize` is 0.5; it must be a whole number from 1"]],
    [{ maxUnsynced: Number.NaN }, ["`maxUnsynced` is NaN; it must be a whole number from 1"]],
    [
      { leaseTtl: -1, heartbeat: -1, segmentSize: -1 },
      [
        `\`leaseTtl\` is -1; ${duration(100)}`,
        `\`heartbeat\` is -1; ${duration(1)}`,
        "`segmentSize` is -1; it must be a whole number from 1"
      ]
    ]
  ]
  it.live.each(wrong)("are refused if nothing can work by them: %o", ([options, problems]) =>
    Effect.gen(function* () {
      const { built, files } = yield* build(options)
      const error = yield* Effect.flip(built)
      assert.deepInclude(error, {
        operation: "open",
        reason: { _tag: "Invalid", detail: problems.join("\n") }
      })
      assert.deepStrictEqual(files, [])
    })
  )

  it.live("are taken if a store can work by them", () =>
    Effect.gen(function* () {
      const { built, files } = yield* build({
        leaseTtl: 100,
        heartbeat: 50,
        pollInterval: 1,
        segmentSize: 1,
        maxUnsynced: 1
      })
      yield* built
      assert.include(files, "format.json")
    })
  )

  it.live(
    "a relative directory is where it was when the store was built, whatever is the working directory",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const [there, elsewhere] = [yield* fs.makeTempDirectoryScoped(), yield* fs.makeTempDirectoryScoped()]
        const workingDirectory = vi.spyOn(process, "cwd").mockReturnValue(there)
        yield* Effect.addFinalizer(() => Effect.sync(() => workingDirectory.mockRestore()))
        const context = yield* Layer.build(Layer.fresh(FsStore.layer({ directory: "runs" })))
        workingDirectory.mockReturnValue(elsewhere)
        yield* Context.get(context, Store).setMeta("name", "value")
        assert.deepStrictEqual(yield* fs.readDirectory(there), ["runs"])
        assert.deepStrictEqual(yield* fs.readDirectory(elsewhere), [])
      }).pipe(Effect.scoped, Effect.provide(NodeFiles.layer))
  )
})
