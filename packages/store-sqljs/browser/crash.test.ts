/** A store in a real browser, whose tab, or which itself, is killed while a run is executed. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { makeProfile, serve } from "./harness.ts"
import type { Profile, Running, Site, Tab } from "./harness.ts"
import type { Asked, Told } from "./program.ts"

const steps = 80
const write: Asked = { mode: "write", steps }

let site: Site
beforeAll(async () => {
  site = await serve()
})
afterAll(() => site.close())

const withProfile = async (body: (profile: Profile) => Promise<void>): Promise<void> => {
  const profile = makeProfile()
  try {
    await body(profile)
  } finally {
    profile.remove()
  }
}

const withBrowser = async (profile: Profile, body: (browser: Running) => Promise<void>): Promise<void> => {
  const browser = await profile.start()
  try {
    await body(browser)
  } finally {
    await browser.kill()
  }
}

/** What it told that is like this; if it told that it failed, that is an error. */
const until = async <T extends Told>(tab: Tab<Told>, matches: (told: Told) => told is T): Promise<T> => {
  const told = await tab.until((each) => each.what === "failed" || matches(each))
  if (told.what === "failed") throw new Error(told.message)
  return told as T
}

type Ended = Extract<Told, { readonly what: "ended" }>
const completed = (tab: Tab<Told>): Promise<Ended> =>
  until(tab, (told): told is Ended => told.what === "ended")

type Durable = Extract<Told, { readonly what: "event" }>
/** Waits until so many events are durable. */
const durable = (tab: Tab<Told>, seq: number): Promise<Durable> =>
  until(tab, (told): told is Durable => told.what === "event" && told.seq >= seq)

/** The run goes on where it stood: what was told is there, no completed call is made again, and it ends as it should. */
const checkContinuation = async (before: ReadonlyArray<Tab<Told>>, tab: Tab<Told>): Promise<void> => {
  const { found, lines, output, verified } = await completed(tab)
  assert.strictEqual(output, steps)
  assert.strictEqual(verified, lines.length - 1)
  assert.deepStrictEqual(found, ["the-run"])
  const told = new Map<number, string>()
  for (const each of before.flatMap((tab) => tab.told))
    if (each.what === "event") told.set(each.seq, each.line)
  assert.isAbove(told.size, 20)
  let completedCalls = 0
  for (const [seq, line] of told) {
    assert.strictEqual(lines[seq], line, `event ${seq} was told`)
    if ((JSON.parse(line) as { readonly kind: string }).kind === "callCompleted") completedCalls += 1
  }
  const calls = tab.told.flatMap((each) => (each.what === "called" ? [each] : []))
  assert.isAbove(calls.length, 0)
  // The calls are made one after the other.
  for (const { at } of calls) assert.isAtLeast(at, completedCalls, "a completed call was made again")
  // What was asked and not answered is in doubt, once.
  assert.isAtMost(calls.filter(({ repeated }) => repeated).length, 1)
}

describe("a store in a browser", () => {
  it("loses nothing durable when its tab is killed, and the run goes on", () =>
    withProfile((profile) =>
      withBrowser(profile, async (browser) => {
        const first = await browser.open<Told>(site.url)
        await first.ask({ ...write, holdAt: 40 } satisfies Asked)
        await durable(first, 60)
        await browser.killTabs()
        const second = await browser.open<Told>(site.url)
        await second.ask(write)
        await checkContinuation([first], second)
      })
    ))

  it("loses nothing durable when the browser is killed, twice, and the run goes on", () =>
    withProfile(async (profile) => {
      const tabs: Array<Tab<Told>> = []
      for (const seq of [25, 60]) {
        await withBrowser(profile, async (browser) => {
          const tab = await browser.open<Told>(site.url)
          tabs.push(tab)
          await tab.ask({ ...write, holdAt: seq } satisfies Asked)
          await durable(tab, seq)
        })
      }
      await withBrowser(profile, async (browser) => {
        const tab = await browser.open<Told>(site.url)
        await tab.ask(write)
        await checkContinuation(tabs, tab)
      })
    }))

  it("is written by one tab, which the others are told of, and read by any", () =>
    withProfile((profile) =>
      withBrowser(profile, async (browser) => {
        const writing = await browser.open<Told>(site.url)
        await writing.ask({ ...write, holdAt: 20 } satisfies Asked)
        await durable(writing, 10)
        const refused = await browser.open<Told>(site.url)
        await refused.ask(write)
        const failed = await refused.until(({ what }) => what === "failed" || what === "opened")
        assert.match(
          failed.what === "failed" ? failed.message : failed.what,
          /the IndexedDB database waymark-sqljs\/test is being written by s[0-9a-f]+, a tab, window or worker of \//
        )
        const reading = await browser.open<Told>(site.url)
        await reading.ask({ mode: "read", steps } satisfies Asked)
        await durable(reading, 10)
        await writing.ask({ mode: "answer", steps } satisfies Asked)
        const { lines } = await completed(writing)
        await reading.until((told) => told.what === "event" && told.seq === lines.length - 1)
        const read = reading.told.flatMap((told) => (told.what === "event" ? [told.line] : []))
        assert.deepStrictEqual(read, lines)
      })
    ))
})
