import assert from "node:assert/strict"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Context } from "./index.ts"

const themes = [
  { name: "light", theme: "Default Light Modern", type: "vs" },
  { name: "dark", theme: "Default Dark Modern", type: "vs-dark" },
  { name: "high-contrast", theme: "Default High Contrast", type: "hc-black" }
]

/** The views, arranged; then one picture of each in each theme. */
export const screenshots = async (context: Context): Promise<void> => {
  const { command, openSideBar, page, panel, row, server, shots } = context
  const settings = join(server.folder, "server/data/User/settings.json")
  const before = readFileSync(settings, "utf8")
  const inThemes = async (view: string): Promise<void> => {
    for (const { name, theme, type } of themes) {
      writeFileSync(settings, JSON.stringify({ ...JSON.parse(before), "workbench.colorTheme": theme }))
      await page.locator(`.monaco-workbench.${type}`).waitFor()
      // Colours of the page change with those of the window, a moment later.
      await page.waitForTimeout(300)
      const picture = await page.screenshot()
      assert.ok(picture.length > 10_000, "there is something on it")
      if (shots !== undefined) {
        mkdirSync(shots, { recursive: true })
        writeFileSync(join(shots, `${view}-${name}.png`), picture)
      }
    }
  }
  try {
    await openSideBar()
    await row("Runs", "order-2").click()
    await row("Checkpoints", "pay").waitFor()
    await command("Waymark: Graph & Timeline")
    await panel().locator(".node.failed.current").waitFor()
    await inThemes("graph")
    await command("Waymark: Compare with the Checkpoint Before")
    await page.locator(".monaco-diff-editor").waitFor()
    await inThemes("diff")
    await command("View: Close All Editors")
    await command("Waymark: Step Through Its History")
    await page.locator(`.activitybar .action-label[aria-label^="Run and Debug"]`).click()
    await page.locator(".debug-variables .monaco-list-row", { hasText: "0000-1111" }).first().waitFor()
    await page.locator('.debug-toolbar .action-label[aria-label^="Step Back"]').click()
    await page.locator(".debug-call-stack .stack-frame", { hasText: "approve: completed" }).first().waitFor()
    await inThemes("history")
  } finally {
    writeFileSync(settings, before)
  }
}
