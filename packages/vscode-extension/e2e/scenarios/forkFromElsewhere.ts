import type { Context } from "./index.ts"

/** By the buttons of the panel and of the debugger. */
export const forkFromElsewhere = async (context: Context): Promise<void> => {
  const { choice, command, openSideBar, page, panel, row } = context
  const draft = page.locator(".tab.active", { hasText: "order-2@16.edited.json" })
  /** A click on a row that is drawn again at that moment is lost. */
  const select = async (run: string, end: string): Promise<void> => {
    const shown = row("Checkpoints", end)
    for (let i = 0; i < 5 && !(await shown.isVisible()); i++) {
      await row("Runs", run).click()
      await shown.waitFor({ timeout: 10_000 }).catch(() => undefined)
    }
    await shown.waitFor()
  }
  await openSideBar()
  await select("order-2", "the run failed")
  await command("Waymark: Graph & Timeline")
  const view = panel()
  await view.locator(".node.failed.current", { hasText: "pay" }).waitFor()
  await view.locator("body").press("ArrowLeft")
  await view.locator(".node.completed.current", { hasText: "approve" }).waitFor()
  // Another run is selected meanwhile: the button is about the one that is shown.
  await select("order-1", "the run completed")
  await page.locator('.editor-actions .action-label[aria-label^="Fork with Edited State"]').click()
  await draft.waitFor()
  await command("View: Close All Editors")

  await select("order-2", "the run failed")
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
