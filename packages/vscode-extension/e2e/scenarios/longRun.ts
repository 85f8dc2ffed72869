import assert from "node:assert/strict"
import type { Context } from "./index.ts"

export const longRun = async ({
  choice,
  command,
  openSideBar,
  page,
  panel,
  row,
  say
}: Context): Promise<void> => {
  await openSideBar()
  // Its store lies further down than the view reaches: it is searched for, until it has been read.
  const isFound = () =>
    choice("long-run")
      .waitFor({ timeout: 5000 })
      .then(
        () => true,
        () => false
      )
  await command("Waymark: Find a Run")
  for (let i = 0; i < 20 && !(await isFound()); i++) {
    await page.keyboard.press("Escape")
    await command("Waymark: Find a Run")
  }
  const began = performance.now()
  await choice("long-run").click()
  await row("Checkpoints", "the run completed").waitFor()
  say(`checkpoints of the run of 100,000: ${Math.round(performance.now() - began)} ms`)
  const opened = performance.now()
  await command("Waymark: Graph & Timeline")
  const view = panel()
  await view.locator(".where", { hasText: "the run completed" }).waitFor()
  await view.locator(".row.completed", { hasText: "tick" }).first().waitFor()
  say(`graph and timeline of the run of 100,000: ${Math.round(performance.now() - opened)} ms`)
  // Of all rows only those that are seen are there.
  const rows = await view.locator(".row").count()
  assert.ok(rows < 100, `${rows} rows are in the page`)
  const size = await view.locator(".row:not([hidden])").first().getAttribute("aria-setsize")
  assert.ok(Number(size) > 100_000, `${size} rows in all`)
  const jumped = performance.now()
  await view.locator("input[type=range]").fill("50000")
  await view.locator(".where", { hasText: /^(49|50)\d\d\d / }).waitFor()
  await view.locator("dd", { hasText: /^(49|50)\d\d\d$/ }).waitFor()
  say(`to the middle of it: ${Math.round(performance.now() - jumped)} ms`)
  await view.locator("body").press("ArrowRight")
  await view.locator(".where", { hasText: /^5000[1-9] / }).waitFor()
}
