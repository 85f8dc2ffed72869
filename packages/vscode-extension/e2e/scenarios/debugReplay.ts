import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Context } from "./index.ts"

/** Everything that stands in the journals of a store. */
const journalOf = (workspace: string): string => {
  const store = join(workspace, ".waymark")
  return readdirSync(store, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".jsonl"))
    .sort()
    .map((path) => readFileSync(join(store, path), "utf8"))
    .join("")
}

export const debugReplay = async (context: Context): Promise<void> => {
  const { command, menu, openSideBar, page, row, say, workspace } = context
  await openSideBar()
  await row("Runs", "order-2").click()
  const approved = row("Checkpoints", /16\s+approve/)
  await approved.waitFor()
  const before = journalOf(workspace)
  assert.match(before, /PaymentDeclined/)

  const began = performance.now()
  await menu(approved, "Debug Replay from Here")
  // In the handler of what came next, in TypeScript: at its first statement.
  const stopped = page.locator(".debug-top-stack-frame-line").first()
  await stopped.waitFor()
  say(`from the checkpoint to the breakpoint: ${((performance.now() - began) / 1000).toFixed(1)} s`)
  await page.locator(".tab.active", { hasText: "order.ts" }).waitFor()
  await command("View: Show Run and Debug")
  await page
    .locator(".debug-call-stack .stack-frame", { hasText: /order\.ts\s*74/ })
    .first()
    .waitFor()
  const variable = (text: string | RegExp) =>
    page.locator(".debug-variables .monaco-list-row", { hasText: text }).first()
  await variable(/^Local/).click()
  await variable(/^state/).waitFor()
  const toolbar = (name: string) => page.locator(`.debug-toolbar .action-label[aria-label^="${name}"]`)
  // What the tool answered comes from the journal: it is not called, and nothing is written.
  await toolbar("Continue").click()
  await page.locator(".repl .monaco-list-row", { hasText: "1 visit replayed: as recorded" }).first().waitFor()
  await toolbar("Continue").waitFor({ state: "hidden" })
  assert.equal(journalOf(workspace), before)
  await page.locator(".debug-breakpoints .breakpoint", { hasText: "order.ts" }).waitFor({ state: "hidden" })

  // The same in a fork, whose tools are called: it goes on to its own end.
  await openSideBar()
  await menu(approved, "Debug Fork from Here")
  await page.locator(".monaco-dialog-box", { hasText: "Fork order-2 at 16, and debug the fork?" }).waitFor()
  await page.locator(".monaco-dialog-box .monaco-button", { hasText: "Debug Fork" }).click()
  await stopped.waitFor()
  await toolbar("Continue").click()
  await page.locator(".repl .monaco-list-row", { hasText: "it expired in 2019" }).first().waitFor()
  await toolbar("Continue").waitFor({ state: "hidden" })
  // It is the run that is looked at now.
  await openSideBar()
  await row("Checkpoints", "forked from another run").waitFor()
  await row("Checkpoints", "the run failed").waitFor()
}
