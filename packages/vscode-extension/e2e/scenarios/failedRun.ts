import assert from "node:assert/strict"
import type { Context } from "./index.ts"

export const failedRun = async ({ menu, openSideBar, page, row, say }: Context): Promise<void> => {
  const began = performance.now()
  await openSideBar()
  const run = row("Runs", "order-2")
  await run.waitFor()
  assert.match(await run.innerText(), /PaymentDeclined/)
  // The others are there, and the store that is damaged says so.
  await row("Runs", "order-1").waitFor()
  await row("Runs", "archive.sqlite").waitFor()
  assert.match(await row("Runs", "broken").innerText(), /cannot be read/)
  await row("Waiting For You", "Approve an order of 8610 cents?").waitFor()

  await menu(run, "Show Why It Failed")
  await page.locator(".tab", { hasText: "order-2.error.txt" }).waitFor()
  await page.locator(".view-line", { hasText: "it expired in 2019" }).first().waitFor()
  await page.locator(".view-line", { hasText: "The run failed" }).first().waitFor()
  say(`the cause is on the screen ${((performance.now() - began) / 1000).toFixed(1)} s after the workbench`)

  await row("Checkpoints", "pay").click()
  await page.locator(".view-line", { hasText: "0000-1111" }).first().waitFor()
}
