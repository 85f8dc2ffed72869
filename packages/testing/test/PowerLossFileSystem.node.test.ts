/**
 * Without failures the simulated disk does what the file system of the machine does.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as PowerLoss from "../src/PowerLossFileSystem.ts"

const path = Schema.Literals([
  "a",
  "b",
  "d",
  "e",
  "d/a",
  "d/b",
  "d/d",
  "e/a",
  "d/d/a",
  "./a",
  "d/../b",
  "a/x",
  ".",
  "",
  "e/.."
])
const flag = Schema.Literals(["r", "r+", "w", "wx", "w+", "wx+", "a", "ax", "a+", "ax+"])
const handle = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
const text = Schema.Literals(["", "x", "hello", "0123456789"])

const Step = Schema.TaggedUnion({
  Open: { handle, path, flag },
  Close: { handle },
  Write: { handle, text },
  WriteAll: { handle, text },
  Read: { handle, length: small },
  ReadAt: { handle, length: small, position: small },
  Seek: {
    handle,
    offset: Schema.Int.check(Schema.isBetween({ minimum: -6, maximum: 12 })),
    from: Schema.Literals(["start", "current"])
  },
  TruncateHandle: { handle, length: small },
  StatHandle: { handle },
  Sync: { handle },
  MakeDirectory: { path, recursive: Schema.Boolean },
  ReadDirectory: { path, recursive: Schema.Boolean },
  Remove: { path, recursive: Schema.Boolean, force: Schema.Boolean },
  Rename: { path, to: path },
  Link: { path, to: path },
  Stat: { path },
  Exists: { path },
  Access: { path },
  ReadFile: { path },
  WriteFile: { path, flag: Schema.Literals(["w", "wx", "a"]), text },
  Truncate: { path, length: small }
})
type Step = typeof Step.Type

interface Open {
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
}

const encode = (content: string) => new TextEncoder().encode(content)
const decode = (content: Uint8Array) => new TextDecoder().decode(content)

const describeInfo = (info: FileSystem.File.Info) => ({
  type: info.type,
  ...(info.type === "File"
    ? { size: Number(ByteSize.toBigInt(info.size)), links: Option.map(info.nlink, Number) }
    : undefined)
})

const describeError = (error: PlatformError) => {
  const { reason } = error
  const cause = reason.cause
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  return { tag: reason._tag, code }
}

/** Carries out steps and says what came of each of them. */
const run = Effect.fnUntraced(function* (root: string, steps: ReadonlyArray<Step>) {
  const fs = yield* FileSystem.FileSystem
  const open = new Map<number, Open>()
  // "a/x" stays below the root, and so does the root itself.
  const at = (name: string) => (name === "" ? "" : `${root}/${name}`)

  const close = (number: number) =>
    Effect.suspend(() => {
      const known = open.get(number)
      open.delete(number)
      return known === undefined ? Effect.void : Scope.close(known.scope, Exit.void)
    })

  const onHandle = <A>(number: number, body: (file: FileSystem.File) => Effect.Effect<A, PlatformError>) =>
    Effect.suspend((): Effect.Effect<A | string, PlatformError> => {
      const known = open.get(number)
      return known === undefined ? Effect.succeed("not open") : body(known.file)
    })

  const perform = (step: Step): Effect.Effect<unknown, PlatformError> => {
    switch (step._tag) {
      case "Open":
        return Effect.gen(function* () {
          yield* close(step.handle)
          const scope = yield* Scope.make()
          const file = yield* Scope.provide(fs.open(at(step.path), { flag: step.flag }), scope)
          open.set(step.handle, { file, scope })
        })
      case "Close":
        return close(step.handle)
      case "Write":
        return onHandle(step.handle, (file) => file.write(encode(step.text)))
      case "WriteAll":
        return onHandle(step.handle, (file) => file.writeAll(encode(step.text)))
      case "Read":
        return onHandle(step.handle, (file) => Effect.map(file.readAlloc(step.length), Option.map(decode)))
      case "ReadAt":
        return onHandle(step.handle, (file) => {
          const buffer = new Uint8Array(step.length)
          return Effect.map(file.read(buffer, { position: BigInt(step.position) }), (count) => [
            count,
            decode(buffer)
          ])
        })
      case "Seek":
        return onHandle(step.handle, (file) => file.seek(BigInt(step.offset), step.from))
      case "TruncateHandle":
        return onHandle(step.handle, (file) => file.truncate(step.length))
      case "StatHandle":
        return onHandle(step.handle, (file) => Effect.map(file.stat, describeInfo))
      case "Sync":
        return onHandle(step.handle, (file) => file.sync)
      case "MakeDirectory":
        // Node lets through which directory it made first; the port says nothing comes back.
        return Effect.asVoid(fs.makeDirectory(at(step.path), { recursive: step.recursive }))
      case "ReadDirectory":
        return Effect.map(fs.readDirectory(at(step.path), { recursive: step.recursive }), (names) =>
          names.sort()
        )
      case "Remove":
        return step.path === "." || step.path.endsWith("..")
          ? Effect.void
          : fs.remove(at(step.path), { recursive: step.recursive, force: step.force })
      case "Rename":
        return fs.rename(at(step.path), at(step.to))
      case "Link":
        return fs.link(at(step.path), at(step.to))
      case "Stat":
        return Effect.map(fs.stat(at(step.path)), describeInfo)
      case "Exists":
        return fs.exists(at(step.path))
      case "Access":
        return fs.access(at(step.path), { readable: true, writable: true })
      case "ReadFile":
        return fs.readFileString(at(step.path))
      case "WriteFile":
        return fs.writeFileString(at(step.path), step.text, { flag: step.flag })
      case "Truncate":
        return fs.truncate(at(step.path), step.length)
    }
  }

  const outcomes: Array<unknown> = []
  for (const step of steps) {
    const result = yield* Effect.result(perform(step))
    outcomes.push(
      Result.isSuccess(result) ? { value: result.success } : { error: describeError(result.failure) }
    )
  }
  for (const number of open.keys()) yield* close(number)
  return outcomes
})

const part = Arbitrary.array(Arbitrary.schema(Step), { maxLength: 40 })
const sequences = Arbitrary.map(Arbitrary.all([part, part, part]), (parts) => parts.flat())

// The errors and their order of precedence are Linux's: elsewhere another file system would be compared.
describe.runIf(process.platform === "linux")(
  "PowerLossFileSystem, compared with this machine's file system",
  () => {
    it.live.prop(
      "does the same in any sequence of operations",
      { steps: sequences },
      ({ steps }) =>
        Effect.gen(function* () {
          const real = yield* Effect.scoped(
            Effect.gen(function* () {
              const fs = yield* FileSystem.FileSystem
              const root = yield* fs.makeTempDirectoryScoped()
              return yield* run(root, steps)
            })
          ).pipe(Effect.provide(NodeFileSystem.layer))
          const disk = PowerLoss.makeDisk()
          const simulated = yield* Effect.gen(function* () {
            const fs = yield* FileSystem.FileSystem
            return yield* run(yield* fs.makeTempDirectory(), steps)
          }).pipe(Effect.provide(disk.layer))
          for (const [index, step] of steps.entries()) {
            assert.deepStrictEqual(simulated[index], real[index], `step ${index}, ${JSON.stringify(step)}`)
          }
        }),
      { timeout: 300_000, arbitrary: { runs: 200, size: 100 } }
    )
  }
)
