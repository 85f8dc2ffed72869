import assert from "node:assert/strict"
import type { Context } from "./index.ts"

export const stepBack = async ({ command, openSideBar, page, row }: Context): Promise<void> => {
  await openSideBar()
  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
  await command("Waymark: Step Through Its History")
  await command("View: Show Run and Debug")
  const frame = page.locator(".debug-call-stack .stack-frame").first()
  await page.locator(".debug-call-stack .stack-frame", { hasText: "pay: the run failed" }).first().waitFor()
  // The source stands beside it, at the handler.
  await page.locator(".tab", { hasText: "order.ts" }).waitFor()
  await page.locator(".debug-variables .monaco-list-row", { hasText: "0000-1111" }).first().waitFor()

  await page.locator('.debug-toolbar .action-label[aria-label^="Step Back"]').click()
  await page.locator(".debug-call-stack .stack-frame", { hasText: "approve: completed" }).first().waitFor()
  await page.locator('.debug-toolbar .action-label[aria-label^="Reverse"]').click()
  await page.locator(".debug-call-stack .stack-frame", { hasText: "the run was started" }).first().waitFor()
  assert.match(await frame.innerText(), /receive|started/)
  await page.locator('.debug-toolbar .action-label[aria-label^="Stop"]').click()
}
