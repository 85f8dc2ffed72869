import type { Context } from "./index.ts"

/** No worker is there: what is asked of runs is in their inboxes until the window's own worker executes them. */
export const steer = async ({ menu: choose, openSideBar, page, row, say }: Context): Promise<void> => {
  await openSideBar()
  const input = page.locator(".quick-input-widget .quick-input-filter input")
  const menu = (view: string, of: string | RegExp, title: string) => choose(row(view, of), title)
  const type = async (title: string, text: string) => {
    await page.locator(".quick-input-title", { hasText: title }).waitFor()
    await input.fill(text)
    await input.press("Enter")
  }
  const agree = (button: string) =>
    page.locator(".monaco-dialog-box .monaco-button", { hasText: button }).click()

  await row("Runs", "order-3").click()
  await menu("Checkpoints", "receive", "Bookmark")
  await type("Bookmark", "before the prices")
  await row("Checkpoints", "“before the prices”").waitFor()

  await menu("Runs", "order-3", "Pause…")
  await type("Pause", "to look at it")
  const began = performance.now()
  await menu("Runs", "order-3", "Execute Here")
  await agree("Execute")
  await row("Runs", /order-3.*somebody paused it/s).waitFor()
  say(`from no worker to a paused run: ${Math.round(performance.now() - began)} ms`)

  // From here on the worker of this window is there.
  await menu("Runs", "order-3", "Resume")
  await row("Runs", /order-3.*waits for answer/s).waitFor()

  await menu("Runs", "parcel-1", "Send a Signal")
  await page.locator(".quick-input-list .monaco-list-row", { hasText: "delivered" }).click()
  await type("Signal delivered", "at the door")
  await row("Runs", /parcel-1.*completed/s).waitFor()

  await row("Runs", "order-2").click()
  await menu("Runs", "order-2", "Retry…")
  await agree("Retry")
  await row("Checkpoints", "retried").waitFor()
  await row("Runs", /order-2.*PaymentDeclined/s).waitFor()

  await menu("Runs", "order-3", "Cancel…")
  await agree("Cancel the Run")
  await type("Cancel", "nobody wants it any more")
  await row("Runs", /order-3.*cancelled/s).waitFor()
}
