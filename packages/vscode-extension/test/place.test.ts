import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { FsStore } from "@waymark/store-fs"
import * as NodeSqljsStore from "@waymark/store-sqljs/NodeSqljsStore"
import { Effect, Layer } from "effect"
import { recognise } from "../src/reading/Place.ts"

const temporary = Effect.acquireRelease(
  Effect.promise(() => Fs.mkdtemp(Path.join(tmpdir(), "waymark-place-"))),
  (path) => Effect.promise(() => Fs.rm(path, { recursive: true }))
)

describe("recognising stores", () => {
  it.effect("knows what the stores themselves leave", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      const directory = Path.join(root, "project", ".waymark")
      const file = Path.join(root, "project", "runs.sqlite")
      yield* Effect.scoped(Layer.build(FsStore.layer({ directory })))
      yield* Effect.scoped(Layer.build(NodeSqljsStore.layer({ file })))
      const roots = [Path.join(root, "project")]
      assert.deepStrictEqual(yield* recognise(directory, roots), {
        kind: "directory",
        path: directory,
        label: Path.join("project", ".waymark")
      })
      assert.deepStrictEqual(yield* recognise(file, []), { kind: "file", path: file, label: file })
    })
  )

  it.effect("says why something is no store", () =>
    Effect.gen(function* () {
      const root = yield* temporary
      const why = (name: string) =>
        Effect.map(Effect.flip(recognise(Path.join(root, name), [])), ({ detail }) => detail)
      yield* Effect.promise(() => Fs.writeFile(Path.join(root, "text.sqlite"), "hello"))
      yield* Effect.promise(() =>
        Fs.writeFile(Path.join(root, "other.sqlite"), "SQLite format 3\0CREATE TABLE t (a)")
      )
      assert.match(yield* why("missing"), /nothing/)
      assert.match(yield* why("."), /no format.json/)
      assert.match(yield* why("text.sqlite"), /no SQLite database/)
      assert.match(yield* why("other.sqlite"), /has not the tables/)
    })
  )
})
