import type { Context } from "./index.ts"

/** By the buttons of the panel and of the debugger. */
export const forkFromElsewhere = async (context: Context): Promise<void> => {
  const { choice, command, openSideBar, page, panel, row } = context
  const draft = page.locator(".tab.active", { hasText: "order-2@16.edited.json" })
  await openSideBar()
  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
  await command("Waymark: Graph & Timeline")
  const view = panel()
  await view.locator(".node.failed.current", { hasText: "pay" }).waitFor()
  await view.locator("body").press("ArrowLeft")
  await view.locator(".node.completed.current", { hasText: "approve" }).waitFor()
  // Another run is selected meanwhile: the button is about the one that is shown.
  await row("Runs", "order-1").click()
  await row("Checkpoints", "the run completed").waitFor()
  await page.locator('.editor-actions .action-label[aria-label^="Fork with Edited State"]').click()
  await draft.waitFor()
  await command("View: Close All Editors")

  await row("Runs", "order-2").click()
  await row("Checkpoints", "the run failed").waitFor()
  await command("Waymark: Step Through Its History")
  await command("View: Show Run and Debug")
  const frame = (text: string) => page.locator(".debug-call-stack .stack-frame", { hasText: text }).first()
  await frame("pay: the run failed").waitFor()
  const toolbar = (name: string) => page.locator(`.debug-toolbar .action-label[aria-label^="${name}"]`)
  // Nothing goes on from the end of a run: where to fork from is asked.
  await toolbar("Fork with Edited State").click()
  await page.locator(".quick-input-title", { hasText: "Fork order-2 from" }).waitFor()
  await choice(/16\s+approve/).waitFor()
  await page.keyboard.press("Escape")
  await toolbar("Step Back").click()
  await frame("approve: completed").waitFor()
  await toolbar("Fork with Edited State").click()
  await draft.waitFor()
  await toolbar("Stop").click()
}
