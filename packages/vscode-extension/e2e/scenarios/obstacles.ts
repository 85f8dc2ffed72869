import { renameSync, unlinkSync } from "node:fs"
import { join } from "node:path"
import type { Context } from "./index.ts"

/** All runs of a store are executed; then the project is taken away piece by piece, and what is missing is said. */
export const obstacles = async (context: Context): Promise<void> => {
  const { command, menu, openSideBar, page, row, workspace } = context
  const message = (text: string) => page.locator(".notification-list-item", { hasText: text })
  const dialog = page.locator(".monaco-dialog-box")
  await openSideBar()
  await row("Runs", "order-3").waitFor()
  await menu(row("Runs", "ws/.waymark"), "Execute All Unfinished Runs")
  await dialog.locator(".dialog-message-detail", { hasText: "2 waiting" }).waitFor()
  // The worker has no flow for one of the three.
  await dialog.locator(".dialog-message-detail", { hasText: "<b>hostile</b>" }).waitFor()
  await dialog.locator(".monaco-button", { hasText: "Execute All" }).click()
  await message("Of 2 runs of ws/.waymark: 2 waiting.").waitFor()
  await command("Waymark: Stop Workers")
  await message("end in good order").waitFor()

  unlinkSync(join(workspace, "node_modules"))
  await row("Runs", "order-1").click()
  // The editor lays no more than three messages over the window: one that comes on top of those is in its list only.
  await command("Notifications: Clear All Notifications")
  await command("Waymark: Replay")
  await message("The run cannot be replayed: @waymark/cli is not installed").waitFor()
  const install = message("@waymark/cli is not installed").locator(".monaco-button", {
    hasText: "Install It"
  })
  await install.click()
  await page.locator(".terminal-wrapper .xterm").first().waitFor()

  renameSync(join(workspace, "waymark.config.ts"), join(workspace, "other.config.ts"))
  await command("Waymark: Start a Run")
  await message("No run can be started here: there is no waymark.config.ts")
    .locator(".monaco-button", { hasText: "Make One" })
    .waitFor()
  await menu(row("Runs", "order-3"), "Execute Here")
  await message("Run order-3 cannot be executed here: there is no waymark.config.ts").waitFor()
}
