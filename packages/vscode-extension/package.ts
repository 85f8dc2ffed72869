// Makes the VSIX: build/waymark.vsix. What goes into it is staged in a folder of its own, so that nothing of the workspace
// comes along. Fails if it is larger than it may be.
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { createVSIX } from "@vscode/vsce"

/** In bytes. */
const budget = 1_000_000

const here = import.meta.dirname
const stage = resolve(here, "build/vsix")
const vsix = resolve(here, "build/waymark.vsix")

execFileSync(process.execPath, ["build.ts", "--minify"], { cwd: here, stdio: "inherit" })
rmSync(stage, { recursive: true, force: true })
mkdirSync(stage, { recursive: true })
for (const path of ["dist", "media", "CHANGELOG.md"]) {
  cpSync(resolve(here, path), resolve(stage, path), { recursive: true })
}
cpSync(resolve(here, "../../LICENSE"), resolve(stage, "LICENSE"))
const {
  devDependencies: _,
  private: __,
  scripts: ___,
  ...manifest
} = JSON.parse(readFileSync(resolve(here, "package.json"), "utf8"))
// Pictures in a marketplace come from the repository, by https; as long as the manifest names none, there are none.
const readme = readFileSync(resolve(here, "README.md"), "utf8")
const { repository } = JSON.parse(readFileSync(resolve(here, "../../package.json"), "utf8"))
const address = typeof repository === "string" ? repository : repository?.url
const base = address?.replace(/^git\+/, "").replace(/\.git$/, "")
writeFileSync(
  resolve(stage, "README.md"),
  base === undefined
    ? readme.replaceAll(/^!\[[^\]]*\]\(\.\.[^)]*\)\n\n/gm, "")
    : readme.replaceAll("](../../", `](${base}/raw/HEAD/`)
)
const files = ["dist", "media", "README.md", "CHANGELOG.md", "LICENSE"]
writeFileSync(resolve(stage, "package.json"), `${JSON.stringify({ ...manifest, files }, null, 2)}\n`)
await createVSIX({ cwd: stage, packagePath: vsix, dependencies: false, allowMissingRepository: true })
const { size } = statSync(vsix)
console.log(`${vsix.slice(here.length + 1)}: ${size} bytes (at most ${budget})`)
process.exitCode = size <= budget ? 0 : 1
