/** The views of the extension, each as the picture of it that the documentation has; in this order in one window. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Context } from "./scenarios/index.ts"

type Stage = Omit<Context, "say">

export interface Picture {
  readonly name: string
  /** Whether it has a window of its own, with nothing in the folder that is open. */
  readonly empty?: boolean
  /** `shot` is called when the window shows what it is to show. */
  readonly take: (stage: Stage, shot: () => Promise<void>) => Promise<void>
}

const inputOf = ({ page }: Stage) => page.locator(".quick-input-widget .quick-input-filter input")
const toolbar = ({ page }: Stage, name: string) =>
  page.locator(`.debug-toolbar .action-label[aria-label^="${name}"]`)

/** The views of the debugger. Whatever else the start of a session brings to the front, they are there in the end. */
const showDebugger = async ({ command, page }: Stage): Promise<void> => {
  const views = page.locator('.pane-header[aria-label^="Call Stack"]')
  for (let i = 0; i < 5 && !(await views.isVisible()); i++) {
    await command("View: Show Run and Debug")
    await views.waitFor({ timeout: 10_000 }).catch(() => undefined)
  }
}

const stop = async (stage: Stage): Promise<void> => {
  await toolbar(stage, "Stop").click()
  await toolbar(stage, "Stop").waitFor({ state: "hidden" })
}

/** Nothing is hovered, and no message stands in front. */
const settled = async ({ command, page }: Stage, shot: () => Promise<void>): Promise<void> => {
  await command("Notifications: Clear All Notifications")
  await page.mouse.move(640, 5)
  // The list of commands fades away.
  await page.locator(".quick-input-widget").waitFor({ state: "hidden" })
  await page.waitForTimeout(500)
  await shot()
}

/** The run that failed is selected, and nothing is left of the picture before. */
const openFailed = async ({ command, openSideBar, row }: Stage): Promise<void> => {
  await command("View: Close All Editors")
  await openSideBar()
  await row("Runs", "archive.sqlite").waitFor()
  await row("Waiting For You", "Approve an order").waitFor()
  await row("Runs", "order-2").click()
  await row("Checkpoints", "pay").waitFor()
}

/** The draft of a fork before the payment, with another card. */
const writeDraft = async (stage: Stage, card: string): Promise<void> => {
  const { menu, page, row } = stage
  await openFailed(stage)
  await menu(row("Checkpoints", /16\s+approve/), "Fork with Edited State")
  await page.locator(".tab.active", { hasText: ".edited.json" }).waitFor()
  await page.locator(".view-line", { hasText: '"card"' }).first().click()
  await page.keyboard.press("Home")
  await page.keyboard.press("Shift+End")
  await page.evaluate((text) => navigator.clipboard.writeText(text), `"card": ${card},`)
  await page.keyboard.press("Control+V")
}

const stopIn = async (stage: Stage, entry: string): Promise<void> => {
  const { command, menu, page, row } = stage
  await openFailed(stage)
  await menu(row("Checkpoints", /16\s+approve/), entry)
  if (entry.includes("Fork"))
    await page.locator(".monaco-dialog-box .monaco-button", { hasText: "Debug Fork" }).click()
  await page.locator(".debug-top-stack-frame-line").first().waitFor()
  await showDebugger(stage)
  const variable = (text: RegExp) => page.locator(".debug-variables .monaco-list-row", { hasText: text })
  await variable(/^Local/).click()
  await variable(/^state/)
    .first()
    .waitFor()
  // What is printed, and the frames of the framework, name paths of this machine.
  await command("View: Hide Panel")
  const frames = page.locator('.pane-header[aria-label^="Call Stack"][aria-expanded="true"]')
  if (await frames.isVisible()) await frames.click()
}

export const pictures: ReadonlyArray<Picture> = [
  {
    name: "runs",
    take: async (stage, shot) => {
      const { menu, page, row } = stage
      await openFailed(stage)
      await menu(row("Runs", "order-2"), "Show Why It Failed")
      await page.locator(".view-line", { hasText: "it expired in 2019" }).first().waitFor()
      await settled(stage, shot)
    }
  },
  {
    name: "graph",
    take: async (stage, shot) => {
      const { command, panel } = stage
      await openFailed(stage)
      await command("Waymark: Graph & Timeline")
      await panel().locator(".node.failed.current", { hasText: "pay" }).waitFor()
      await panel().locator(".row.failed", { hasText: "pay" }).first().waitFor()
      await settled(stage, shot)
    }
  },
  {
    name: "waiting",
    take: async (stage, shot) => {
      const { command, page, panel, row } = stage
      await openFailed(stage)
      const question = row("Waiting For You", "Approve an order")
      await question.click()
      await row("Checkpoints", /13\s+approve/).waitFor()
      await command("Waymark: Graph & Timeline")
      await panel().locator(".node.waiting.current", { hasText: "approve" }).waitFor()
      await panel().locator(".row.wait", { hasText: "approval" }).first().waitFor()
      await command("Notifications: Clear All Notifications")
      await question.hover()
      await page.locator(".workbench-hover", { hasText: "order-3 asks" }).waitFor()
      await shot()
    }
  },
  {
    name: "answer",
    take: async (stage, shot) => {
      const { choice, command, page, panel, row } = stage
      await openFailed(stage)
      const question = row("Waiting For You", "Approve an order")
      await question.click()
      await row("Checkpoints", /13\s+approve/).waitFor()
      await command("Waymark: Graph & Timeline")
      await panel().locator(".node.waiting.current", { hasText: "approve" }).waitFor()
      await question.hover()
      await question.locator('.action-label[aria-label^="Answer"]').click()
      await choice("true").click()
      await page.locator(".quick-input-title", { hasText: "2/2" }).waitFor()
      await inputOf(stage).fill("x")
      await page.locator(".quick-input-message", { hasText: "Expected" }).waitFor()
      await shot()
      await page.keyboard.press("Escape")
    }
  },
  {
    name: "start",
    take: async (stage, shot) => {
      const { choice, command, page } = stage
      await openFailed(stage)
      await command("Waymark: Start a Run")
      await choice("shop/.waymark").click()
      await choice("parcel").waitFor()
      await page.mouse.move(640, 5)
      await shot()
      await page.keyboard.press("Escape")
    }
  },
  {
    name: "compare",
    take: async (stage, shot) => {
      const { page, row } = stage
      await openFailed(stage)
      const joined = row("Checkpoints", /11\s+branches/)
      await joined.click()
      await page.locator(".tab.active", { hasText: "order-2@11" }).waitFor()
      await joined.hover()
      await joined.locator('.action-label[aria-label^="Compare"]').click()
      await page.locator(".diff-editor .line-insert, .monaco-diff-editor .line-insert").first().waitFor()
      await settled(stage, shot)
    }
  },
  {
    name: "history",
    take: async (stage, shot) => {
      const { command, page } = stage
      await openFailed(stage)
      await command("Waymark: Step Through Its History")
      await showDebugger(stage)
      const frame = (text: string) => page.locator(".debug-call-stack .stack-frame", { hasText: text })
      await frame("pay: the run failed").first().waitFor()
      await toolbar(stage, "Step Back").click()
      await frame("approve: completed").first().waitFor()
      await page.locator(".debug-variables .monaco-list-row", { hasText: "8610" }).first().waitFor()
      await command("View: Hide Panel")
      await settled(stage, shot)
      await stop(stage)
    }
  },
  {
    name: "draft",
    take: async (stage, shot) => {
      const { page } = stage
      await writeDraft(stage, "4711")
      await page.locator(".squiggly-error, .squiggly-warning").first().waitFor()
      await stage.command("Notifications: Clear All Notifications")
      // What is wrong stands there for who comes near.
      await page
        .locator(".view-line", { hasText: '"card"' })
        .locator("span", { hasText: "4711" })
        .last()
        .hover()
      await page.locator(".monaco-hover:not(.hidden)", { hasText: "Incorrect type" }).waitFor()
      await shot()
      await stage.command("View: Revert and Close Editor")
    }
  },
  {
    name: "fork",
    take: async (stage, shot) => {
      const { page } = stage
      await writeDraft(stage, '"4711"')
      await stage.command("Notifications: Clear All Notifications")
      await page.locator('.editor-actions .action-label[aria-label^="Fork with This State"]').click()
      await page
        .locator(".monaco-dialog-box .dialog-message-detail", { hasText: "1 channel: card" })
        .waitFor()
      await page.locator(".diff-editor .line-insert, .monaco-diff-editor .line-insert").first().waitFor()
      await shot()
      await page.keyboard.press("Escape")
    }
  },
  {
    name: "replay",
    take: async (stage, shot) => {
      await stopIn(stage, "Debug Replay from Here")
      await settled(stage, shot)
      await stop(stage)
    }
  },
  {
    name: "debug-fork",
    take: async (stage, shot) => {
      await stopIn(stage, "Debug Fork from Here")
      await settled(stage, shot)
      await stop(stage)
    }
  },
  {
    name: "divergence",
    take: async (stage, shot) => {
      const { command, page, row, workspace } = stage
      const file = join(workspace, "flows/order.ts")
      const code = readFileSync(file, "utf8")
      writeFileSync(file, code.replace("sum + price, 0)", "sum + price, 100)"))
      await openFailed(stage)
      await row("Runs", "order-1").click()
      await command("Notifications: Clear All Notifications")
      await command("Waymark: Replay")
      await page.locator(".tab.active", { hasText: "recorded ↔ replayed" }).waitFor()
      await page.locator(".view-line", { hasText: "8710" }).first().waitFor()
      await page.locator(".notification-list-item", { hasText: "Not as recorded: visit" }).waitFor()
      await page.mouse.move(640, 5)
      await shot()
    }
  },
  {
    name: "divergences",
    take: async (stage, shot) => {
      const { command, page, row, workspace } = stage
      const file = join(workspace, "flows/order.ts")
      const code = readFileSync(file, "utf8")
      writeFileSync(
        file,
        code.replace("sum + price, 0)", "sum + price, 100)").replace("item.quantity]", "item.quantity + 50]")
      )
      await openFailed(stage)
      await row("Runs", "order-1").click()
      await command("Notifications: Clear All Notifications")
      await command("Waymark: Replay")
      await page.locator(".tab.active", { hasText: "order-1.replayed.jsonc" }).waitFor()
      await page.locator(".codelens-decoration a", { hasText: "Go to handler" }).first().waitFor()
      await page.locator(".notification-list-item", { hasText: "not as recorded" }).waitFor()
      await page.mouse.move(640, 5)
      await shot()
    }
  },
  {
    name: "empty",
    empty: true,
    take: async (stage, shot) => {
      const { openSideBar, page } = stage
      await openSideBar()
      await page.locator(".welcome-view", { hasText: "No store of runs was found here" }).waitFor()
      await settled(stage, shot)
    }
  }
]
