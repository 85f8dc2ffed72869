// Takes the pictures of the documentation: every view in a light, a dark and a high contrast theme, in docs/images.
//
//   node e2e/screenshots.ts [--theme dark] [--only fork] [--out folder]
//
// `--theme contrast-light` takes those of a theme that the documentation has none of; give it a folder of its own.
// Needs `pngquant`, which makes them small (Debian and Ubuntu have it).
import { execFileSync } from "node:child_process"
import { mkdirSync, statSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import type { Browser } from "playwright-core"
import { openBrowser, openWindow } from "./harness/browser.ts"
import type { Window } from "./harness/browser.ts"
import { startServer } from "./harness/server.ts"
import { copyWorkspace, emptyWorkspace, out, prepare, root, say, vsix } from "./prepare.ts"
import { pictures } from "./pictures.ts"

const themes: { readonly [name: string]: string } = {
  light: "Default Light Modern",
  dark: "Default Dark Modern",
  contrast: "Default High Contrast"
}
/** Looked at, but not kept. */
const others: { readonly [name: string]: string } = { "contrast-light": "Default High Contrast Light" }
/** In bytes: what a picture in the repository may have. */
const largest = 100_000

const { values } = parseArgs({
  options: { theme: { type: "string" }, only: { type: "string", default: "" }, out: { type: "string" } }
})
const folder = resolve(values.out ?? join(root, "../../docs/images"))
const only = new RegExp(values.only)
const chosen = Object.entries(values.theme === undefined ? themes : { ...themes, ...others }).filter(
  ([theme]) => theme === (values.theme ?? theme)
)
if (chosen.length === 0) {
  console.error(`there is no theme ${values.theme}`)
  process.exit(2)
}
if (execFileSync("sh", ["-c", "command -v pngquant || true"], { encoding: "utf8" }) === "") {
  console.error("pngquant is not there: install it (apt-get install pngquant)")
  process.exit(2)
}

let large = 0
let missed = 0

const takeAll = async (browser: Browser, theme: string, name: string): Promise<void> => {
  const settings = {
    "workbench.colorTheme": name,
    // Without a path of this machine, which would be in the pictures.
    "waymark.node": "node_modules/.bin/node",
    "window.title": "${activeEditorShort}${separator}${rootName}",
    "editor.minimap.enabled": false
  }
  const server = await startServer({ name: `screenshots-${theme}`, out, vsix, settings })
  /** The window of the picture before, if this one can be taken in it. */
  let stage: (Window & { readonly workspace: string }) | undefined
  try {
    for (const { empty = false, name: view, take } of pictures.filter((each) => only.test(each.name))) {
      if (empty) await stage?.close()
      if (empty || stage === undefined) {
        const workspace = empty ? emptyWorkspace("shop") : copyWorkspace("shop")
        stage = { ...(await openWindow(browser, server, workspace, { out })), workspace }
      }
      const { page, shot } = stage
      try {
        await take(stage, async () => {
          const file = join(folder, `vscode-${view}-${theme}.png`)
          await page.screenshot({ path: file })
          execFileSync("pngquant", ["--force", "--strip", "--speed", "1", "--output", file, "256", file])
          const { size } = statSync(file)
          if (size > largest) large++
          say(`${basename(file)}: ${size} bytes${size > largest ? ", which is too much" : ""}`)
        })
      } catch (error) {
        missed++
        say(`no picture of ${view} in ${theme}: ${String(error)}`)
        await shot(`failed-${view}-${theme}`)
        await stage.close()
        stage = undefined
      }
    }
  } finally {
    await stage?.close()
    await server.stop()
  }
}

mkdirSync(folder, { recursive: true })
await prepare(1000, true)
const browser = await openBrowser()
for (const [theme, name] of chosen) await takeAll(browser, theme, name)
await browser.close()
process.exit(large + missed === 0 ? 0 : 1)
