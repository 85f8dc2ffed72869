import { createHash } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stateOf } from "@waymark/core/RunState"
import type { Runs } from "@waymark/core"
import { Effect, Layer } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Drafts from "../src/acting/Drafts.ts"
import * as KeptDrafts from "../src/acting/KeptDrafts.ts"
import { Workers } from "../src/acting/Workers.ts"
import { Cursor } from "../src/faces/Cursor.ts"
import { Stores } from "../src/reading/Stores.ts"
import { fakeEditor } from "./fakeEditor.ts"
import type { Answers } from "./fakeEditor.ts"
import { acting, makeStore, noProject, use } from "./project.ts"

let store = ""
beforeAll(async () => {
  store = await makeStore()
})

/** The checkpoint before the payment that was declined. */
const beforePayment = (runs: Runs.Runs["Service"]) =>
  Effect.map(runs.history("declined", { node: "approve", limit: 1 }), ([found]) => found!.seq)

const change = (text: string, more: { readonly [channel: string]: unknown }) =>
  JSON.stringify({ ...JSON.parse(text), ...more })

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), "waymark-drafts-"))
  folders.push(made)
  return made
}
const keptIn = (storage: string) => readdirSync(join(storage, "drafts"))

describe("a draft", () => {
  /** Uses the drafts that a window keeps in a folder. */
  const withKept = <A, E>(storage: string, effect: Effect.Effect<A, E, KeptDrafts.KeptDrafts>) =>
    Effect.runPromise(Effect.provide(effect, Layer.provide(KeptDrafts.layer, fakeEditor({ storage }).layer)))

  it("is there when the window is loaded again, until its fork has begun", async () => {
    const storage = folder()
    /** A window that forks from the checkpoint, or not; what stands in the draft in the end. */
    const inWindow = (answers: Answers, act: "fork" | "look" = "fork") => {
      const editor = fakeEditor(answers)
      return Effect.runPromise(
        Effect.gen(function* () {
          const runs = yield* use(store)
          const at = { store, run: "declined", seq: yield* beforePayment(runs) }
          const { card } = JSON.parse(yield* editor.textOf(Drafts.refOf(at, "edited")))
          if (act === "fork") yield* editor.run("waymark.forkDraft", at)
          // What belongs to it is not edited, and another checkpoint has a draft of its own.
          expect(JSON.parse(yield* editor.textOf(Drafts.refOf(at, "recorded")))).toMatchObject({
            card: "0000"
          })
          const other = Drafts.refOf({ ...at, seq: at.seq - 1 }, "edited")
          expect(yield* editor.textOf(other)).not.toContain("4711")
          const { run } = (yield* Cursor).current() ?? {}
          return { card, forked: run && stateOf(yield* runs.stateAt(run))["card"] }
        }).pipe(Effect.provide(acting(editor, Effect.fail(noProject))))
      )
    }
    const edited = { storage, draft: (text: string) => change(text, { card: "4711" }) }
    expect(await inWindow(edited)).toEqual({ card: "0000", forked: undefined })
    expect(keptIn(storage)).toHaveLength(1)
    // Another workspace has nothing of it.
    expect(await inWindow({}, "look")).toEqual({ card: "0000", forked: undefined })
    expect(await inWindow({ storage, confirm: () => true })).toEqual({ card: "4711", forked: "4711" })
    expect(keptIn(storage)).toEqual([])
    expect(await inWindow({ storage }, "look")).toEqual({ card: "0000", forked: undefined })
  })

  it("is not kept for longer than a month", async () => {
    const storage = folder()
    const bytes = new TextEncoder().encode("{}")
    await withKept(
      storage,
      KeptDrafts.KeptDrafts.use(({ write }) => Effect.andThen(write("old", bytes), write("new", bytes)))
    )
    const monthAgo = Date.now() / 1000 - 31 * 86_400
    const name = createHash("sha256").update("old").digest("hex")
    utimesSync(join(storage, "drafts", `${name}.json`), monthAgo, monthAgo)
    await withKept(
      storage,
      Effect.gen(function* () {
        while (keptIn(storage).length > 1) yield* Effect.sleep("5 millis")
        const { read } = yield* KeptDrafts.KeptDrafts
        expect(yield* read("old")).toBeUndefined()
        expect((yield* read("new"))?.bytes).toEqual(Buffer.from(bytes))
      })
    )
  })

  it("that cannot be kept is not said to be saved", async () => {
    const file = join(folder(), "file")
    writeFileSync(file, "")
    const error = await withKept(
      file,
      KeptDrafts.KeptDrafts.use(({ write }) => Effect.flip(write("any", new Uint8Array())))
    )
    expect(error.message).toMatch(/^a draft could not be kept in .*: ENOTDIR/)
  })
})

describe("forking", () => {
  it("edits the state, says what will happen, and executes the fork by the project's own worker", async () => {
    const storage = folder()
    const editor = fakeEditor({
      storage,
      confirm: () => true,
      draft: (text) => change(text, { card: "4711" })
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        const at = { store, run: "declined", seq: yield* beforePayment(runs) }
        yield* editor.run("waymark.fork", at)
        const text = yield* editor.textOf(Drafts.refOf(at, "edited"))
        expect(JSON.parse(text)).toMatchObject({ card: "0000", total: 360 })
        yield* editor.run("waymark.forkDraft", at)

        expect(keptIn(storage)).toEqual([])

        const fork = (yield* Cursor).current()!.run
        expect(fork).not.toBe("declined")
        const info = yield* runs.get(fork)
        expect(info).toMatchObject({ status: "completed", forkOf: { run: "declined", seq: at.seq } })
        expect(stateOf(yield* runs.stateAt(fork))).toMatchObject({ card: "4711" })
        const question = editor.said.find((text) => text.startsWith("Fork run declined"))!
        expect(question).toMatch(/from checkpoint \d+\?.*at node pay/s)
        expect(question).toMatch(/but for 1 channel: card\./)
        expect(question).toMatch(/itself called pay: the fork calls tools for real/)
        expect(question).toMatch(/executed at once, by (?:a|the) worker of ws\/waymark\.config\.ts/)
        expect(editor.said.indexOf(`diff declined@${at.seq}: recorded ↔ edited`)).toBe(
          editor.said.indexOf(question) - 1
        )

        // The code says what the channels hold, and the schema of the draft has it.
        const schema = JSON.parse(yield* editor.textOf(Drafts.refOf(at, "schema")))
        expect(schema.properties.prices).toMatchObject({ type: "array", items: { type: "integer" } })
        expect(schema.additionalProperties).toBe(false)
        // Another run is not taken up: that was not asked for.
        expect((yield* runs.get("asking")).status).toBe("waiting")
      }).pipe(Effect.provide(acting(editor)))
    )
  })

  it("takes states of megabytes, of characters of all kinds, and asks for a checkpoint at the end of a run", async () => {
    const card = "😀é\u0000".repeat(400_000)
    const editor = fakeEditor({
      confirm: () => true,
      draft: (text) => change(text, { card }),
      pick: (_title, choices) => choices.find(({ label }) => /^\d+ {2}approve$/.test(label))?.value
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        const seq = yield* beforePayment(runs)
        const end = (yield* runs.get("declined")).seq
        yield* editor.run("waymark.fork", { store, run: "declined", seq: end })
        expect(editor.said.slice(0, 2)).toEqual([
          "Fork declined from",
          `document declined@${seq}.edited.json`
        ])
        yield* editor.run("waymark.forkDraft", { store, run: "declined", seq })
        const fork = (yield* Cursor).current()!.run
        expect((yield* runs.get(fork)).status).toBe("completed")
        expect(stateOf(yield* runs.stateAt(fork))["card"] === card).toBe(true)
        // What is edited of it is found in the draft of the fork, too.
        const at = { store, run: fork, seq: (yield* runs.history(fork, { node: "pay", limit: 1 }))[0]!.seq }
        const text = yield* editor.textOf(Drafts.refOf(at, "edited"))
        expect(JSON.parse(text).card === card).toBe(true)
      }).pipe(Effect.provide(acting(editor)))
    )
  })

  it("does nothing unless the person says so", async () => {
    const editor = fakeEditor({ confirm: () => false })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        const before = (yield* runs.list({ flow: "order" })).runs.length
        const at = { store, run: "declined", seq: yield* beforePayment(runs) }
        yield* editor.run("waymark.forkDraft", at)
        expect(editor.said.some((text) => text.includes("Its state is as recorded."))).toBe(true)
        expect((yield* runs.list({ flow: "order" })).runs.length).toBe(before)
      }).pipe(Effect.provide(acting(editor)))
    )
  })

  it("refuses what does not fit, by the names and kinds of the channels and by the schemas of the code", async () => {
    const refused = async (more: { readonly [channel: string]: unknown }) => {
      const editor = fakeEditor({ confirm: () => true, draft: (text) => change(text, more) })
      await Effect.runPromise(
        Effect.gen(function* () {
          const runs = yield* use(store)
          yield* editor.run("waymark.forkDraft", {
            store,
            run: "declined",
            seq: yield* beforePayment(runs)
          })
        }).pipe(Effect.provide(acting(editor)))
      )
      return editor.said.at(-1)
    }
    expect(await refused({ color: "red" })).toMatch(/^Not forked: .*no channel "color".*card/)
    expect(await refused({ prices: "none" })).toMatch(/^Not forked: channel "prices" holds a list/)
    expect(await refused({ prices: [1.5] })).toMatch(/^Not forked: .*prices.*integer/s)
  })

  it("forks in the store where nothing can be executed, and says that the fork waits", async () => {
    const editor = fakeEditor({
      confirm: () => true,
      draft: (text) => change(text, { card: "4712", receipt: "by hand" })
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        const at = { store, run: "declined", seq: yield* beforePayment(runs) }
        yield* editor.run("waymark.forkDraft", at)
        const question = editor.said.find((text) => text.startsWith("Fork run declined"))!
        expect(question).toMatch(/Nothing is executed now: there is no waymark\.config\.ts/)
        const fork = (yield* Cursor).current()!.run
        expect(yield* runs.get(fork)).toMatchObject({ status: "pending", node: "pay" })
        expect(stateOf(yield* runs.stateAt(fork))).toMatchObject({ card: "4712", receipt: "by hand" })
        expect((yield* Workers).running(store)).toBeUndefined()
        const schema = JSON.parse(yield* editor.textOf(Drafts.refOf(at, "schema")))
        expect(Object.keys(schema.properties)).toContain("receipt")
      }).pipe(Effect.provide(acting(editor, Effect.fail(noProject))))
    )
  })

  it("is refused in a workspace that is not trusted", async () => {
    const editor = fakeEditor({ trusted: false, confirm: () => true })
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        yield* editor.run("waymark.fork", { store, run: "declined", seq: 3 })
        yield* editor.heard(/^This workspace is not trusted/)
        expect(editor.said).toHaveLength(1)
        expect((yield* Stores).source(store)).toBeDefined()
      }).pipe(Effect.provide(acting(editor)))
    )
  })
})
