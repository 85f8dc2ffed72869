import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"

/** Builds a store in an empty directory, and tells what is in it afterwards. */
const build = Effect.fnUntraced(
  function* (options: NodeSqljsStore.Options) {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const file = `${directory}/runs.sqlite`
    const built = yield* Effect.exit(
      Effect.scoped(Layer.build(Layer.fresh(NodeSqljsStore.layer({ file, ...options }))))
    )
    return { built, files: yield* fs.readDirectory(directory) }
  },
  Effect.scoped,
  Effect.provide(NodeFiles.layer)
)

describe("the options of a SQLite store", () => {
  const count = "it must be a whole number from 1"
  const wrong: ReadonlyArray<readonly [NodeSqljsStore.Options, ReadonlyArray<string>]> = [
    [{ file: "" }, ['`file` is ""; it must be a text that is not empty']],
    [{ replaceUpTo: Number.NaN }, ["`replaceUpTo` is NaN; it must be a number of bytes, from 0 on"]],
    [{ maxBytes: 0 }, [`\`maxBytes\` is 0; ${count}`]],
    [
      { foldBytes: Number.NaN, maxUnsynced: 1.5, pollInterval: 0 },
      [
        `\`foldBytes\` is NaN; ${count}`,
        `\`maxUnsynced\` is 1.5; ${count}`,
        "`pollInterval` is 0; it must be a duration of at least 1 ms, and less than 25 days"
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
      assert.notInclude(files, "runs.sqlite")
    })
  )

  it.live("are taken if a store can work by them", () =>
    Effect.gen(function* () {
      const { built } = yield* build({ replaceUpTo: 0, foldBytes: 1, maxUnsynced: 1, pollInterval: 1 })
      yield* built
    })
  )
})
