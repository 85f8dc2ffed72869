import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Context } from "./index.ts"

export const startAndReplay = async (context: Context): Promise<void> => {
  const { choice, command, openSideBar, page, row, workspace } = context
  await openSideBar()
  await row("Runs", "order-1").waitFor()
  const input = page.locator(".quick-input-widget .quick-input-filter input")

  await command("Waymark: Start a Run")
  await choice("ws/.waymark").click()
  await choice("counter").click()
  await page.locator(".quick-input-title", { hasText: "Start counter" }).waitFor()
  await input.fill("three")
  await page.locator(".quick-input-message", { hasText: "Type a number" }).waitFor()
  await input.fill("3")
  await input.press("Enter")
  await page.locator(".monaco-dialog-box .monaco-button", { hasText: "Start" }).click()
  await row("Runs", /counter.*completed/s).waitFor()
  await row("Checkpoints", "the run completed").waitFor()

  await row("Runs", "order-1").click()
  await command("Waymark: Make a Test")
  await page.locator(".quick-input-title", { hasText: "Make a test of order-1" }).waitFor()
  await input.fill("flows/order.test.ts")
  await input.press("Enter")
  await page.locator(".tab.active", { hasText: "order.test.ts" }).waitFor()
  assert.match(readFileSync(join(workspace, "flows/order.test.ts"), "utf8"), /from "\.\/order\.ts"/)
  // It passes as it is.
  const vitest = join(workspace, "node_modules/vitest/vitest.mjs")
  await promisify(execFile)(process.execPath, [vitest, "run", "flows/order.test.ts"], { cwd: workspace })

  // The code of another day.
  const file = join(workspace, "flows/order.ts")
  const code = readFileSync(file, "utf8")
  writeFileSync(file, code.replace("sum + price, 0)", "sum + price, 1)"))
  await row("Runs", "order-1").click()
  await command("Waymark: Replay")
  await page.locator(".tab.active", { hasText: "recorded ↔ replayed" }).waitFor()
  await page.locator(".view-line", { hasText: "8611" }).first().waitFor()
  const message = page.locator(".notification-list-item", { hasText: "Not as recorded: visit" })
  await message.locator(".monaco-button", { hasText: "Go to Handler" }).click()
  await page.locator(".tab.active", { hasText: "order.ts" }).waitFor()
  await page.locator(".view-line", { hasText: "sum + price, 1" }).waitFor()

  // Other code in two nodes: all that comes out otherwise is listed, each with its links.
  const more = code
    .replace("sum + price, 0)", "sum + price, 1)")
    .replace("item.quantity]", "item.quantity + 1]")
  assert.notEqual(more, code)
  writeFileSync(file, more)
  await row("Runs", "order-1").click()
  await command("Waymark: Replay")
  await page.locator(".tab.active", { hasText: "order-1.replayed.jsonc" }).waitFor()
  await page.locator(".view-line", { hasText: "not as recorded." }).first().waitFor()
  await page.locator(".view-line", { hasText: "of price, branch" }).first().waitFor()
  await page.locator(".codelens-decoration a", { hasText: "Go to handler" }).first().waitFor()
  await page.locator(".codelens-decoration a", { hasText: "Go to checkpoint" }).first().click()
  await page.locator(".tab.active", { hasText: /order-1@\d+\.state\.json/ }).waitFor()
}
