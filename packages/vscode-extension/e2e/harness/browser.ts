/** The workbench of a server in headless Chromium. */
import { execFileSync } from "node:child_process"
import { join, resolve } from "node:path"
import { chromium } from "playwright-core"
import type { Browser, FrameLocator, Locator, Page } from "playwright-core"
import type { Server } from "./server.ts"

/** The path of a Chromium. Where there is none, that of the system's package is installed. */
export const ensureChromium = (): string =>
  execFileSync(resolve(import.meta.dirname, "../../../../scripts/install-chromium.sh"), {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  }).trim()

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: ensureChromium(),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      // Offline, but for the server.
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    ]
  })

/** A window, and what tests do in it. */
export interface Window {
  readonly page: Page
  /** Runs a command through the palette. */
  readonly command: (title: string) => Promise<void>
  /** Opens the container of the extension in the side bar. */
  readonly openSideBar: () => Promise<void>
  /** A row of a tree, by the name of its view and a text in it. */
  readonly row: (view: string, text: string | RegExp) => Locator
  /** Chooses an entry of the menu of something. */
  readonly menu: (of: Locator, entry: string) => Promise<void>
  /** The document of a panel. */
  readonly panel: () => FrameLocator
  /** A row of the list of choices that is open. */
  readonly choice: (text: string | RegExp) => Locator
  readonly shot: (name: string) => Promise<void>
  readonly close: () => Promise<void>
}

export const openWindow = async (
  browser: Browser,
  { port }: Server,
  folder: string,
  options: {
    readonly out: string
    readonly payload?: ReadonlyArray<readonly [string, string]>
    readonly prepare?: (page: Page) => Promise<unknown>
  }
): Promise<Window> => {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: "en-US",
    permissions: ["clipboard-read", "clipboard-write"]
  })
  const page = await context.newPage()
  // A slow machine is no failure.
  page.setDefaultTimeout(120_000)
  await options.prepare?.(page)
  const payload = [["skipWelcome", "true"], ["skipReleaseNotes", "true"], ...(options.payload ?? [])]
  const query = `folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(JSON.stringify(payload))}`
  await page.goto(`http://127.0.0.1:${port}/?${query}`)
  await page.waitForSelector(".monaco-workbench .statusbar-item", { timeout: 120_000 })

  const choice = (text: string | RegExp) =>
    page.locator(".quick-input-list .monaco-list-row", { hasText: text }).first()
  return {
    page,
    choice,
    // The palette lists the commands that are known when it opens: it is opened again until the extension's are.
    command: async (title) => {
      const row = page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first()
      for (let i = 0; ; i++) {
        await page.keyboard.press("F1")
        // A key that comes while another list closes opens nothing.
        const isThere = await page
          .locator(".quick-input-widget .quick-input-filter input")
          .fill(`>${title}`, { timeout: 8000 })
          .then(() => row.waitFor({ timeout: 8000 }))
          .then(
            () => true,
            () => false
          )
        if (isThere) return row.click()
        await page.keyboard.press("Escape")
        if (i === 8) throw new Error(`there is no command ${title}`)
      }
    },
    openSideBar: async () => {
      const header = page.locator('.pane-header[aria-label^="Runs Section"]')
      // Another click would close it.
      if (await header.isVisible()) return
      // A number may lie over the icon.
      await page.locator('.activitybar .action-label[aria-label^="Waymark"]').click({ force: true })
      await header.waitFor()
    },
    row: (view, text) =>
      page
        .locator(".pane", { has: page.locator(`.pane-header[aria-label^="${view}" i]`) })
        .locator(".monaco-list-row", { hasText: text })
        .first(),
    // A menu takes no click in its first moments, so that the click that opened it chooses nothing: it is clicked until it
    // is gone. One that stays is opened again.
    menu: async (of, entry) => {
      const found = page.locator(".monaco-menu .action-label", { hasText: entry })
      for (let opened = 0; opened < 5; opened++) {
        await of.click({ button: "right" })
        await found.waitFor()
        for (let clicks = 0; clicks < 5 && (await found.isVisible()); clicks++) {
          await found.click({ timeout: 2000 }).catch(() => undefined)
          await found.waitFor({ state: "hidden", timeout: 2000 }).catch(() => undefined)
        }
        if (!(await found.isVisible())) return
        await page.keyboard.press("Escape")
      }
      throw new Error(`${entry} was clicked again and again, and its menu stays`)
    },
    panel: () =>
      page.locator("iframe.webview.ready").first().contentFrame().frameLocator("iframe#active-frame"),
    shot: async (name) => void (await page.screenshot({ path: join(options.out, `${name}.png`) })),
    close: () => context.close()
  }
}
