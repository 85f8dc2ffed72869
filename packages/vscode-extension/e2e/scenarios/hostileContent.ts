import assert from "node:assert/strict"
import type { Context } from "./index.ts"

export const hostileContent = async (context: Context): Promise<void> => {
  const { command, openSideBar, page, panel, row } = context
  await openSideBar()
  const run = row("Runs", "<img src=x onerror")
  await run.click()
  await row("Checkpoints", "<i>node</i>").waitFor()
  // As texts, in trees, documents and the page; nothing of them is markup.
  assert.equal(await page.locator('.monaco-list-row img[src="x"]').count(), 0)
  assert.equal(await page.locator(".monaco-list-row i", { hasText: "node" }).count(), 0)
  await command("Waymark: Graph & Timeline")
  const view = panel()
  await view.locator(".node.waiting", { hasText: "<i>node</i>" }).waitFor()
  assert.match(await view.locator("h1").innerText(), /<img src=x onerror=/)
  const markup = ":is(img, script, iframe, a, i, b)"
  assert.equal(await view.locator(`header ${markup}, main ${markup}, .timeline ${markup}`).count(), 0)
  assert.match(
    (await view.locator("meta[http-equiv]").getAttribute("content"))!,
    /^default-src 'none'; script-src 'nonce-/
  )
  // The question that it asks is not a link to a command, as the editor makes them in what it asks.
  const question = row("Waiting For You", "onerror")
  await question.hover()
  await question.locator('.action-label[aria-label^="Answer"]').click()
  const asked = page.locator(".quick-input-message", { hasText: "command:workbench.action.terminal.new" })
  await asked.waitFor()
  assert.equal(await asked.locator("a").count(), 0)
  await page.keyboard.press("Escape")
  // Huge and binary values.
  await command("Waymark: Show Input")
  await page.locator(".tab.active", { hasText: "input.json" }).waitFor()
  await page.locator(".view-line", { hasText: "command:workbench.action.terminal.new" }).first().waitFor()
  assert.equal(await page.locator(".terminal-wrapper").count(), 0)
  assert.notEqual(await page.title(), "owned")
  // The store that is damaged hides none of the others.
  assert.match(await row("Runs", "broken").innerText(), /cannot be read/)
  await row("Runs", "order-1").waitFor()
}
