/**
 * A project that runs at once.
 */
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { BadInput } from "./failures.ts"
import { peers, version } from "./version.ts"

const template = fileURLToPath(new URL("../../template", import.meta.url))

/** What is copied, by its name in the template. npm does not pack a file of the name that this one gets. */
const files: { readonly [from: string]: string } = {
  "waymark.config.ts": "waymark.config.ts",
  "src/review.ts": "src/review.ts",
  "test/review.test.ts": "test/review.test.ts",
  "input.json": "input.json",
  "tsconfig.json": "tsconfig.json",
  gitignore: ".gitignore"
}

const scripts = {
  start: "waymark run review --input @input.json",
  worker: "waymark worker",
  test: "vitest run",
  typecheck: "tsc"
}

const dependencies = { "@waymark/core": `^${version}`, effect: peers["effect"] ?? "latest" }

/** `vitest` and `@effect/vitest` are peers of `@waymark/testing`, which need not be here yet: a test compares them. */
export const devDependencies = {
  "@waymark/cli": `^${version}`,
  "@waymark/testing": `^${version}`,
  "@effect/vitest": "^4.0.0-rc.118",
  "@types/node": "^24.0.0",
  typescript: "^7.0.2",
  vitest: "^5.0.0"
}

const Texts = Schema.Record(Schema.String, Schema.String)
const Manifest = Schema.StructWithRest(
  Schema.Struct({
    name: Schema.optionalKey(Schema.String),
    type: Schema.optionalKey(Schema.String),
    scripts: Schema.optionalKey(Texts),
    dependencies: Schema.optionalKey(Texts),
    devDependencies: Schema.optionalKey(Texts)
  }),
  [Schema.Record(Schema.String, Schema.Json)]
)

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Manifest))

const without = (
  wanted: { readonly [name: string]: string },
  ...has: ReadonlyArray<{ readonly [name: string]: string }>
): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(wanted).filter(([name]) => !has.some((there) => Object.hasOwn(there, name)))
  )

/** What is there is kept, and what is missing is added. */
const manifestIn = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const file = Path.join(folder, "package.json")
  const invalid = (detail: string) => new BadInput({ what: file, detail })
  const text = (yield* fs.exists(file)) ? yield* fs.readFileString(file) : "{}"
  const there = yield* Effect.mapError(decode(text), ({ message }) => invalid(message))
  if (there.type !== undefined && there.type !== "module") {
    return yield* invalid(`it says "type": ${JSON.stringify(there.type)}; Waymark needs "module"`)
  }
  const { dependencies: has = {}, devDependencies: hasDev = {} } = there
  const manifest = {
    name: Path.basename(folder)
      .toLowerCase()
      .replaceAll(/[^a-z0-9._-]/g, "-"),
    private: true,
    ...there,
    type: "module",
    scripts: { ...scripts, ...there.scripts },
    dependencies: { ...has, ...without(dependencies, has, hasDev) },
    devDependencies: { ...hasDev, ...without(devDependencies, has, hasDev) }
  }
  return { file, text: `${JSON.stringify(manifest, undefined, 2)}\n` }
})

/** Writes the project, and answers with what was written. Nothing is overwritten. */
export const write = Effect.fn("init")(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  for (const to of Object.values(files)) {
    if (to !== ".gitignore" && to !== "tsconfig.json" && (yield* fs.exists(Path.join(folder, to)))) {
      return yield* new BadInput({
        what: Path.join(folder, to),
        detail: "it is there already; choose another folder"
      })
    }
  }
  yield* fs.makeDirectory(folder, { recursive: true })
  const manifest = yield* manifestIn(folder)
  const written: Array<string> = []
  for (const [from, to] of Object.entries(files)) {
    const target = Path.join(folder, to)
    if (yield* fs.exists(target)) continue
    yield* fs.makeDirectory(Path.dirname(target), { recursive: true })
    yield* fs.copyFile(Path.join(template, from), target)
    written.push(to)
  }
  yield* fs.writeFileString(manifest.file, manifest.text)
  return [...written, "package.json"]
})
