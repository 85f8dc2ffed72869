import assert from "node:assert/strict"
import type { Context } from "./index.ts"

export const untrusted = async ({ command, openSideBar, page, row }: Context): Promise<void> => {
  await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor()
  await openSideBar()
  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
  await command("Waymark: Show Why It Failed")
  await page.locator(".view-line", { hasText: "it expired in 2019" }).first().waitFor()
  // What would change something is not offered.
  await row("Runs", "order-2").click({ button: "right" })
  await page.locator(".monaco-menu .action-label", { hasText: "Show Why It Failed" }).waitFor()
  const retry = page.locator(".monaco-menu .action-item.disabled", { hasText: "Retry" })
  await retry.waitFor()
  await page.keyboard.press("Escape")
  await page.keyboard.press("F1")
  await page.locator(".quick-input-widget .quick-input-filter input").fill(">Waymark: Cancel")
  await page.locator(".quick-input-list .monaco-list-row").first().waitFor()
  assert.equal(
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Waymark: Cancel" }).count(),
    0
  )
  await page.keyboard.press("Escape")
  // Above a handler it is; then why not is said, with the way out.
  await command("Waymark: Show Source")
  await page.locator(".codelens-decoration a", { hasText: "Debug replay" }).last().click()
  const refusal = page.locator(".notification-list-item", { hasText: "This workspace is not trusted" })
  await refusal.locator(".monaco-button", { hasText: "Manage Workspace Trust" }).click()
  await page.getByText("You are in Restricted Mode").waitFor()
}
