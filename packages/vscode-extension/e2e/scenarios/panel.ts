import assert from "node:assert/strict"
import type { Context } from "./index.ts"

export const panel = async ({ command, openSideBar, page, panel: panelOf, row }: Context): Promise<void> => {
  await openSideBar()
  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
  await command("Waymark: Graph & Timeline")
  const view = panelOf()
  const node = (name: string) => view.locator(`.node:has(title:text-is("${name}"))`)
  await view.locator(".node.failed.current", { hasText: "pay" }).waitFor()
  // Also what the run never came to is drawn, and only the edges that it took are marked.
  assert.match((await node("ship").getAttribute("class"))!, /unvisited/)
  assert.match((await node("price").getAttribute("aria-label"))!, /completed, 3×/)
  await view.locator(".error", { hasText: "it expired in 2019" }).waitFor()
  await view.locator(".row.failed", { hasText: "pay" }).first().waitFor()
  await view.locator(".row.wait", { hasText: "user: approval" }).waitFor()

  // Back in time with a key: graph, state and where it says that it is.
  await view.locator(".where").waitFor()
  await view.locator("body").press("ArrowLeft")
  await view.locator(".node.completed.current", { hasText: "approve" }).waitFor()
  assert.match((await node("pay").getAttribute("class"))!, /running/)
  await view.locator("body").press("Home")
  await view.locator(".node.running.current", { hasText: "receive" }).waitFor()
  await view.locator("dt", { hasText: "total" }).waitFor()
  await view.locator("body").press("End")
  await view.locator(".node.failed.current", { hasText: "pay" }).waitFor()

  // A checkpoint that is chosen in the tree moves the page.
  await row("Checkpoints", "sum").click()
  await page.locator(".tab.active", { hasText: "state.json" }).waitFor()
  await page.locator(".tab", { hasText: "order-2" }).first().click()
  await view.locator(".node.current", { hasText: "sum" }).waitFor()

  // From a node to its handler.
  await node("sum").dblclick()
  await page.locator(".tab.active", { hasText: "order.ts" }).waitFor()
  await page.locator(".view-line", { hasText: "const total = state.prices" }).waitFor()
}
