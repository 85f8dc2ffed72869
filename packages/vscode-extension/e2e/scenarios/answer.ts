import { spawn } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import type { Context } from "./index.ts"

export const answer = async ({ choice, openSideBar, page, row, say, workspace }: Context): Promise<void> => {
  await openSideBar()
  const question = row("Waiting For You", "Approve an order of 8610 cents?")
  await question.waitFor()
  const worker = spawn(
    process.execPath,
    ["--conditions=@waymark/source", resolve(import.meta.dirname, "../worker.ts"), workspace],
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  try {
    await once(worker.stdout, "data")
    await question.click()
    await question.hover()
    await question.locator('.action-label[aria-label^="Answer"]').click()
    await choice("true").click()
    const input = page.locator(".quick-input-widget .quick-input-filter input")
    await page.locator(".quick-input-title", { hasText: "2/2" }).waitFor()
    // What does not fit is said while it is typed.
    await input.fill("x")
    await page.locator(".quick-input-message", { hasText: "Expected" }).waitFor()
    await input.fill("within the budget")
    const answered = performance.now()
    await input.press("Enter")
    await row("Runs", /order-3.*completed/s).waitFor()
    say(`answered to completed on the screen: ${Math.round(performance.now() - answered)} ms`)
    await row("Checkpoints", "the run completed").waitFor()
  } finally {
    worker.kill("SIGTERM")
    await once(worker, "exit")
  }
}
