/**
 * Tests that are made from runs. The generator is that of the project, which the test is going to import from.
 */
import { createRequire } from "node:module"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import type * as RunToTest from "@waymark/testing/RunToTest"
import * as ConfigFile from "./configFile.ts"
import { BadInput, ConfigError } from "./failures.ts"

type Generator = Pick<typeof RunToTest, "generate">

const generatorOf = ({ file }: ConfigFile.Loaded): Effect.Effect<Generator, ConfigError> =>
  Effect.tryPromise({
    try: () => import(pathToFileURL(createRequire(file).resolve("@waymark/testing/RunToTest")).href),
    catch: (cause) => {
      const detail = `${ConfigFile.detailOf(cause)}; it makes the test: npm install --save-dev @waymark/testing vitest @effect/vitest`
      return new ConfigError({ file, reason: { _tag: "Threw", detail }, cause })
    }
  })

/** How a test imports a file. */
const specifierOf = (test: string, file: string): string => {
  const path = Path.relative(Path.dirname(test), file).split(Path.sep).join("/")
  return path.startsWith(".") ? path : `./${path}`
}

/** The files in which the flows of a configuration are defined. */
const definitions = ({ config }: ConfigFile.Loaded): ReadonlyArray<string> => [
  ...new Set(
    config.flows.flatMap(({ flow }) => {
      const site = flow.site()
      return site === undefined || !Path.isAbsolute(site.file) ? [] : [site.file]
    })
  )
]

/** What a test at a place can import: the modules that are named, or else those that define the flows. */
const modulesFor = Effect.fnUntraced(function* (
  loaded: ConfigFile.Loaded,
  test: string,
  named: ReadonlyArray<string>
) {
  const files = named.length === 0 ? definitions(loaded) : named.map(ConfigFile.given)
  if (files.length === 0) {
    return yield* new BadInput({
      what: "--module",
      detail: "name the files that export the flow, its handlers and its tools"
    })
  }
  const modules: { [specifier: string]: RunToTest.Modules[string] } = {}
  for (const file of files) {
    modules[specifierOf(test, file)] = yield* Effect.tryPromise({
      try: () => import(pathToFileURL(file).href) as Promise<RunToTest.Modules[string]>,
      catch: (cause) =>
        new BadInput({ what: file, detail: `it cannot be loaded: ${ConfigFile.detailOf(cause)}` })
    })
  }
  return modules
})

/** The text of a test of a run, for a file at a place. */
export const textOf = Effect.fnUntraced(function* (
  loaded: ConfigFile.Loaded,
  run: string,
  test: string,
  options: { readonly modules: ReadonlyArray<string> } & Omit<RunToTest.Options, "modules">
) {
  const { generate } = yield* generatorOf(loaded)
  const modules = yield* modulesFor(loaded, test, options.modules)
  return yield* generate(run, { ...options, modules })
})
