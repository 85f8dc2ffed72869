/** Bundles TypeScript for a browser and tells what would not work there. */
import { isBuiltin } from "node:module"
import { relative, resolve } from "node:path"
import type { BuildOptions, Metafile, Plugin } from "esbuild"
import { build } from "esbuild"

const workspace = resolve(import.meta.dirname, "../..")

/** Globals of Node that no browser has. */
const nodeGlobals = [
  "process",
  "Buffer",
  "require",
  "module",
  "__dirname",
  "__filename",
  "global",
  "setImmediate"
]
const marker = (name: string) => `__waymark_node_global_${name}`

export interface Bundle {
  readonly text: string
  readonly inputs: Metafile["inputs"]
  /** One text for each import of a Node module. */
  readonly nodeImports: ReadonlyArray<string>
  /** The Node globals that the bundled code (external modules aside) refers to. */
  readonly nodeGlobals: ReadonlyArray<string>
}

export interface Options {
  /** A file, or the text of a module that stands in the workspace's root. */
  readonly entry: { readonly file: string } | { readonly text: string }
  /** Whether `effect` is left out. */
  readonly withoutEffect?: boolean
  readonly minify?: boolean
  readonly format?: "esm" | "iife"
  readonly markGlobals?: boolean
}

export const bundle = async (options: Options): Promise<Bundle> => {
  const nodeImports: Array<string> = []
  const plugin: Plugin = {
    name: "browser",
    setup(context) {
      context.onResolve({ filter: /.*/ }, ({ importer, path }) => {
        if (!isBuiltin(path)) return undefined
        nodeImports.push(`${relative(workspace, importer)} imports ${path}`)
        return { path, external: true }
      })
      if (options.withoutEffect === true) {
        context.onResolve({ filter: /^effect(\/|$)/ }, ({ path }) => ({
          path,
          external: true,
          sideEffects: false
        }))
      }
    }
  }
  const settings: BuildOptions = {
    absWorkingDir: workspace,
    bundle: true,
    write: false,
    metafile: true,
    platform: "browser",
    target: "es2022",
    conditions: ["@waymark/source"],
    format: options.format ?? "esm",
    globalName: "bundled",
    minify: options.minify === true,
    legalComments: "none",
    logLevel: "silent",
    plugins: [plugin]
  }
  if ("file" in options.entry) settings.entryPoints = [options.entry.file]
  else settings.stdin = { contents: options.entry.text, loader: "ts", resolveDir: workspace }
  if (options.markGlobals === true) {
    settings.define = Object.fromEntries(
      nodeGlobals.flatMap((name) => [
        [name, marker(name)],
        [`globalThis.${name}`, marker(name)]
      ])
    )
  }
  const result = await build(settings)
  const text = result.outputFiles![0]!.text
  return {
    text,
    inputs: result.metafile!.inputs,
    nodeImports,
    nodeGlobals: nodeGlobals.filter((name) => new RegExp(`\\b${marker(name)}\\b`).test(text))
  }
}
