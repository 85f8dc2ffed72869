import type { Context } from "./index.ts"

/** From the checkpoint before the payment, with a card that is not declined. */
export const fork = async ({ menu, openSideBar, page, row, say, shot }: Context): Promise<void> => {
  await openSideBar()
  await row("Runs", "order-2").click()
  await menu(row("Checkpoints", /16\s+approve/), "Fork with Edited State")
  await page.locator(".tab.active", { hasText: ".edited.json" }).waitFor()

  const card = page.locator(".view-line", { hasText: '"card"' })
  const write = async (value: string) => {
    await card.first().click()
    await page.keyboard.press("Home")
    await page.keyboard.press("Shift+End")
    // Pasted: quotes that are typed would be closed.
    await page.evaluate((text) => navigator.clipboard.writeText(text), `"card": ${value},`)
    await page.keyboard.press("Control+V")
  }
  // The project's worker says what the channel holds: what does not fit is marked as it is written.
  await write("4711")
  await page.locator(".squiggly-error, .squiggly-warning").first().waitFor()
  await shot("fork-problem")
  await write('"4711"')
  await page.locator(".squiggly-error, .squiggly-warning").first().waitFor({ state: "detached" })

  await page.locator('.editor-actions .action-label[aria-label^="Fork with This State"]').click()
  // Before anything begins: the two states side by side, and what will happen.
  const dialog = page.locator(".monaco-dialog-box")
  await dialog.waitFor()
  await dialog.locator(".dialog-message-detail", { hasText: "but for 1 channel: card" }).waitFor()
  await dialog.locator(".dialog-message-detail", { hasText: "itself called pay" }).waitFor()
  await page.locator(".diff-editor .line-insert, .monaco-diff-editor .line-insert").first().waitFor()
  await shot("fork-question")
  const began = performance.now()
  await dialog.locator(".monaco-button", { hasText: "Fork and Execute" }).click()
  await row("Runs", /fork.*completed/s).waitFor()
  await row("Checkpoints", "the run completed").waitFor()
  say(`forked to completed on the screen: ${Math.round(performance.now() - began)} ms`)
  // The run that failed is as it was.
  await row("Runs", /order-2.*PaymentDeclined/s).waitFor()
}
