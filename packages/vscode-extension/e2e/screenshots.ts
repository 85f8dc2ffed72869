// Takes the pictures of the documentation: every view in a light, a dark and a high contrast theme, in docs/images.
//
//   node e2e/screenshots.ts [--theme dark] [--out folder]
//
// Needs `pngquant`, which makes them small (Debian and Ubuntu have it).
import { execFileSync } from "node:child_process"
import { mkdirSync, statSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { openBrowser, openWindow } from "./harness/browser.ts"
import type { Window } from "./harness/browser.ts"
import { startServer } from "./harness/server.ts"
import { copyWorkspace, out, prepare, root, say, vsix } from "./prepare.ts"

const themes: { readonly [name: string]: string } = {
  light: "Default Light Modern",
  dark: "Default Dark Modern",
  contrast: "Default High Contrast"
}
/** In bytes: what a picture in the repository may have. */
const largest = 100_000

const { values } = parseArgs({ options: { theme: { type: "string", default: "" }, out: { type: "string" } } })
const folder = resolve(values.out ?? join(root, "../../docs/images"))

/** Each view once, in one window; `shot` is called when it shows what it is to show. */
const tour = async (window: Window, shot: (name: string) => Promise<void>): Promise<void> => {
  const { command, menu, openSideBar, page, panel, row } = window
  const closeAll = () => command("View: Close All Editors")
  const toolbar = (name: string) => page.locator(`.debug-toolbar .action-label[aria-label^="${name}"]`)
  /** Nothing is to be hovered, and no message to stand in front. */
  const settle = async (name: string) => {
    await command("Notifications: Clear All Notifications")
    await page.mouse.move(640, 5)
    await shot(name)
  }

  await openSideBar()
  await row("Runs", "archive.sqlite").waitFor()
  await row("Waiting For You", "Approve an order").waitFor()
  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
  await menu(row("Runs", "order-2"), "Show Why It Failed")
  await page.locator(".view-line", { hasText: "it expired in 2019" }).first().waitFor()
  await settle("runs")

  await closeAll()
  await command("Waymark: Graph & Timeline")
  await panel().locator(".node.failed.current", { hasText: "pay" }).waitFor()
  await panel().locator(".row.failed", { hasText: "pay" }).first().waitFor()
  await settle("graph")

  await closeAll()
  await row("Checkpoints", /16\s+approve/).hover()
  await row("Checkpoints", /16\s+approve/)
    .locator('.action-label[aria-label^="Compare"]')
    .click()
  await page.locator(".diff-editor, .monaco-diff-editor").first().waitFor()
  await page.locator(".view-line", { hasText: "prices" }).first().waitFor()
  await settle("compare")

  await closeAll()
  const question = row("Waiting For You", "Approve an order")
  await question.hover()
  await question.locator('.action-label[aria-label^="Answer"]').click()
  await window.choice("true").click()
  await page.locator(".quick-input-title", { hasText: "2/2" }).waitFor()
  await page.locator(".quick-input-widget .quick-input-filter input").fill("x")
  await page.locator(".quick-input-message", { hasText: "Expected" }).waitFor()
  await shot("answer")
  await page.keyboard.press("Escape")

  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
  await command("Waymark: Step Through Its History")
  await command("View: Show Run and Debug")
  await page.locator(".debug-call-stack .stack-frame", { hasText: "pay: the run failed" }).first().waitFor()
  await toolbar("Step Back").click()
  await page.locator(".debug-call-stack .stack-frame", { hasText: "approve: completed" }).first().waitFor()
  await page.locator(".debug-variables .monaco-list-row", { hasText: "8610" }).first().waitFor()
  await command("View: Hide Panel")
  await settle("history")
  await toolbar("Stop").click()
  await toolbar("Stop").waitFor({ state: "hidden" })

  await closeAll()
  await openSideBar()
  await menu(row("Checkpoints", /16\s+approve/), "Debug Replay from Here")
  await page.locator(".debug-top-stack-frame-line").first().waitFor()
  await command("View: Show Run and Debug")
  const variable = (text: RegExp) => page.locator(".debug-variables .monaco-list-row", { hasText: text })
  await variable(/^Local/).click()
  await variable(/^state/)
    .first()
    .waitFor()
  // What it prints names the paths of this machine.
  await command("View: Hide Panel")
  await settle("replay")
  await toolbar("Stop").click()
}

if (execFileSync("sh", ["-c", "command -v pngquant || true"], { encoding: "utf8" }) === "") {
  console.error("pngquant is not there: install it (apt-get install pngquant)")
  process.exit(2)
}
mkdirSync(folder, { recursive: true })
await prepare(1000)
const browser = await openBrowser()
let large = 0
for (const [theme, name] of Object.entries(themes).filter(([key]) => key.startsWith(values.theme))) {
  const settings = { "workbench.colorTheme": name, "waymark.node": process.execPath }
  const server = await startServer({ name: `screenshots-${theme}`, out, vsix, settings })
  try {
    const window = await openWindow(browser, server, copyWorkspace(), { out })
    try {
      await tour(window, async (view) => {
        const file = join(folder, `vscode-${view}-${theme}.png`)
        await window.page.screenshot({ path: file })
        execFileSync("pngquant", ["--force", "--strip", "--speed", "1", "--output", file, "256", file])
        const { size } = statSync(file)
        if (size > largest) large++
        say(`${file.slice(folder.length + 1)}: ${size} bytes${size > largest ? ", which is too much" : ""}`)
      })
    } catch (error) {
      await window.shot(`failed-screenshots-${theme}`)
      throw error
    } finally {
      await window.close()
    }
  } finally {
    await server.stop()
  }
}
await browser.close()
process.exit(large === 0 ? 0 : 1)
