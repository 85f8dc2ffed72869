// Bundles the extension and its pages into `dist`. `node build.ts --minify` is what is packaged.
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, resolve } from "node:path"
import { build } from "esbuild"

const here = import.meta.dirname
const minify = process.argv.includes("--minify")
const out = resolve(here, "dist")
const shared = {
  bundle: true,
  minify,
  sourcemap: minify ? false : ("linked" as const),
  legalComments: "none" as const,
  // The workspace's packages are bundled from their sources.
  conditions: ["@waymark/source", "module"],
  logLevel: "warning" as const
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
await build({
  ...shared,
  entryPoints: [resolve(here, "src/extension.ts")],
  outfile: resolve(out, "extension.cjs"),
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode"],
  // The store asks for its own place only if it is not told where the WebAssembly lies.
  logOverride: { "empty-import-meta": "silent" }
})
const page = resolve(here, "src/webview/run.ts")
if (existsSync(page)) {
  await build({
    ...shared,
    entryPoints: [page, resolve(here, "src/webview/run.css")],
    outdir: out,
    platform: "browser",
    format: "esm",
    target: "es2022"
  })
}
// sql.js looks for its WebAssembly by this name.
const require = createRequire(import.meta.url)
const sqlJs = dirname(require.resolve("sql.js"))
copyFileSync(resolve(sqlJs, "sql-wasm.wasm"), resolve(out, "sql-wasm.wasm"))
