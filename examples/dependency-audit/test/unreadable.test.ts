import { NodeServices } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem, Path, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** What the demonstration says of a file, and how it ends. */
const audit = Effect.fnUntraced(function* (file: string) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const child = yield* spawner.spawn(
    ChildProcess.make(process.execPath, ["--conditions=@waymark/source", main, file])
  )
  const text = (stream: Stream.Stream<Uint8Array, unknown>) => Stream.mkString(Stream.decodeText(stream))
  const [out, err] = yield* Effect.all([text(child.stdout), text(child.stderr)], { concurrency: 2 })
  return { out, err, code: yield* child.exitCode }
}, Effect.scoped)

it.live(
  "a file that cannot be audited is told in one sentence, once, and not as a kill",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { join } = yield* Path.Path
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "waymark-unreadable-" })
      const files = {
        old: join(directory, "v1.json"),
        other: join(directory, "other"),
        none: join(directory, "none")
      }
      yield* fs.writeFileString(files.old, '{"lockfileVersion":1,"dependencies":{}}')
      yield* fs.writeFileString(files.other, "no JSON at all")
      const expected = {
        [files.old]: "lockfileVersion 1 lists no packages; write it anew with npm 7 or later",
        [files.other]: "it is no lockfile of npm; name the package-lock.json of a project",
        [files.none]: "there is no such file; name the package-lock.json of a project"
      }
      for (const [file, reason] of Object.entries(expected)) {
        const { code, err, out } = yield* audit(file)
        assert.strictEqual(err, `${file} cannot be audited: ${reason}\n`)
        assert.notInclude(out, "SIGKILL")
        assert.strictEqual(code, 1)
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
  { timeout: 120_000 }
)
