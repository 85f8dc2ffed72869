/**
 * Where the flows of the workspace stand in its source, and what stands at a place of it.
 */
import * as Fs from "node:fs/promises"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { Editor } from "../Editor.ts"
import type { FilePlace } from "../Editor.ts"
import { definitionsOf } from "./definitions.ts"
import type { Body, Definitions, HandlerPart } from "./definitions.ts"

/** A flow, a node, or the handler of one, in a file. Lines count from 1, the last one included. */
export interface Site extends FilePlace {
  readonly end: number
  readonly flow: string
  readonly node: string | undefined
  readonly what: "definition" | "handler"
  /** Where a handler begins to be executed, if that is known. */
  readonly body?: Body
}

interface File {
  readonly path: string
  readonly modified: number
  readonly definitions: Definitions
}

const glob = "**/*.{ts,tsx,mts,js,jsx,mjs}"
const mostFiles = 5000
/** Larger files are hardly written by people. */
const mostBytes = 2_000_000
/** For so long what was found is taken for what is there, in milliseconds. */
const fresh = 2000
/** What compilers leave: the sources are meant. */
const isOutput = (path: string): boolean => /[\\/](dist|build|out|\.next|coverage)[\\/]/.test(path)

/** What is loaded outside of its test runner fails. */
const isTest = (path: string): boolean => /\.(?:test|spec)\.[cm]?[jt]sx?$/.test(path)

/** The sites of a set of files. Handlers are those of the flow whose variable they name, in the same file if there is one. */
export const sitesOf = (
  files: ReadonlyArray<{ readonly path: string; readonly definitions: Definitions }>
): ReadonlyArray<Site> => {
  const sites: Array<Site> = []
  const add = (
    file: string,
    flow: string,
    node: string | undefined,
    what: Site["what"],
    { body, end, line }: Omit<HandlerPart, "name">
  ) => sites.push({ file, line, end, flow, node, what, ...(body === undefined ? {} : { body }) })
  const flows = files.flatMap(({ definitions, path }) => definitions.flows.map((flow) => ({ path, flow })))
  for (const { flow, path } of flows) {
    add(path, flow.id, undefined, "definition", { line: flow.line, end: flow.line })
    for (const node of flow.nodes) add(path, flow.id, node.name, "definition", node)
  }
  for (const { definitions, path } of files) {
    for (const { handlers, variable } of definitions.handlers) {
      const named = flows.filter(({ flow }) => flow.variable === variable)
      const found =
        named.find((flow) => flow.path === path) ??
        named.find(({ flow }) =>
          handlers.every(({ name }) => flow.nodes.some((node) => node.name === name))
        ) ??
        named[0]
      // Without a flow of that name it is the layer of something else, such as a tool.
      if (found === undefined) continue
      for (const handler of handlers) add(path, found.flow.id, handler.name, "handler", handler)
    }
  }
  return sites
}

/** What stands at a line: the innermost handler or node, else the flow. */
export const siteAt = (sites: ReadonlyArray<Site>, file: string, line: number): Site | undefined => {
  let best: Site | undefined
  for (const site of sites) {
    if (site.file !== file || line < site.line || line > site.end) continue
    if (best === undefined || site.end - site.line < best.end - best.line) best = site
  }
  return best
}

/** The place of a node: its handler if that is known, else its definition. */
export const siteOf = (
  sites: ReadonlyArray<Site>,
  flow: string,
  node: string | undefined,
  what?: Site["what"]
): Site | undefined => {
  const found = sites.filter(
    (site) => site.flow === flow && site.node === node && (what === undefined || site.what === what)
  )
  return found.find((site) => site.what === "handler") ?? found[0]
}

export class Sources extends Context.Service<
  Sources,
  {
    /** All sites of the workspace, looked up again when files have changed. */
    readonly sites: Effect.Effect<ReadonlyArray<Site>>
    /** The files in which flows, their handlers and tools are defined, those of tests left out. */
    readonly modules: (
      flows: ReadonlySet<string>,
      tools: ReadonlySet<string>
    ) => Effect.Effect<ReadonlyArray<string>>
    /** Those of one text: of a file as somebody edits it. The flows of other files are known as they were last found. */
    readonly sitesOfText: (file: string, text: string) => ReadonlyArray<Site>
  }
>()("waymark-vscode/Sources") {}

const readFile = (path: string, known: File | undefined): Effect.Effect<File | undefined> =>
  Effect.tryPromise(async () => {
    const { mtimeMs, size } = await Fs.stat(path)
    if (known?.modified === mtimeMs) return known
    const text = size > mostBytes ? "" : await Fs.readFile(path, "utf8")
    return { path, modified: mtimeMs, definitions: definitionsOf(text) }
    // A file that went away between the search and now defines nothing.
  }).pipe(Effect.catch(() => Effect.succeed(undefined)))

export const layer: Layer.Layer<Sources, never, Editor> = Layer.effect(
  Sources,
  Effect.gen(function* () {
    const { findFiles } = yield* Editor
    const one = yield* Semaphore.make(1)
    const files = new Map<string, File>()
    let sites: ReadonlyArray<Site> = []
    let found = Number.NEGATIVE_INFINITY
    const search = Effect.gen(function* () {
      if (performance.now() - found < fresh) return sites
      const paths = (yield* findFiles(glob, mostFiles)).filter((path) => !isOutput(path)).sort()
      const read = yield* Effect.forEach(paths, (path) => readFile(path, files.get(path)), {
        concurrency: 16
      })
      files.clear()
      for (const file of read) if (file !== undefined) files.set(file.path, file)
      sites = sitesOf([...files.values()])
      found = performance.now()
      return sites
    })
    const all = one.withPermits(1)(search)
    return Sources.of({
      sites: all,
      modules: (flows, tools) =>
        Effect.map(all, () => {
          const wanted = new Set(sites.flatMap(({ file, flow }) => (flows.has(flow) ? [file] : [])))
          for (const { definitions, path } of files.values())
            if (definitions.tools.some((name) => tools.has(name))) wanted.add(path)
          return [...wanted].filter((path) => !isTest(path)).sort()
        }),
      sitesOfText: (path, text) => {
        const others = [...files.values()].filter((file) => file.path !== path)
        return sitesOf([{ path, definitions: definitionsOf(text) }, ...others]).filter(
          ({ file }) => file === path
        )
      }
    })
  })
)
