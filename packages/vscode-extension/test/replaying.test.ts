import { readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect, Fiber } from "effect"
import { beforeAll, describe, expect, it } from "vitest"
import * as Divergences from "../src/acting/Divergences.ts"
import * as Drafts from "../src/acting/Drafts.ts"
import { Workers } from "../src/acting/Workers.ts"
import { Cursor } from "../src/faces/Cursor.ts"
import { fakeEditor } from "./fakeEditor.ts"
import { acting, makeStore, project, use } from "./project.ts"

let store = ""
beforeAll(async () => {
  store = await makeStore()
})

/** A command that says what the code of other days would. */
const printing = (divergences: ReadonlyArray<object>) => {
  const report = JSON.stringify(JSON.stringify({ run: "declined", visits: 3, divergences }))
  return Effect.succeed({
    ...project,
    args: ["-e", `console.log(${report}); process.exitCode = 9`, "--"]
  })
}

describe("executing the code of a run", () => {
  it("replays it: nothing is different, or a diff shows what is and leads to the handler", async () => {
    const editor = fakeEditor({
      press: (_text, actions) => actions.find((action) => action === "Go to Checkpoint")
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        yield* editor.run("waymark.replay", { store, run: "declined" })
        expect(yield* editor.heard(/replayed/)).toBe("declined: 5 visits replayed. All as recorded.")
        yield* editor.run("waymark.replay", { store, run: "asking" })
        expect(yield* editor.heard(/asking: /)).toMatch(
          /^asking: \d visits? replayed\. All as recorded\. What has not ended was not compared: /
        )
      }).pipe(Effect.provide(acting(editor)))
    )
    const sum = {
      seq: 7,
      node: "sum",
      visit: 2,
      attempt: 1,
      expected: { total: 360 },
      got: { total: 361 }
    }
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        yield* editor.run("waymark.replay", { store, run: "declined" })
        expect(yield* editor.heard(/Not as recorded/)).toBe(
          "declined: 3 visits replayed. Not as recorded: visit 2 of sum, position 7."
        )
        expect(editor.said.at(-2)).toBe("diff declined@7: recorded ↔ replayed")
        const at = { store, run: "declined", seq: 7 }
        expect(JSON.parse(yield* editor.textOf(Drafts.refOf(at, "expected")))).toEqual({ total: 360 })
        expect(JSON.parse(yield* editor.textOf(Drafts.refOf(at, "got")))).toEqual({ total: 361 })
        expect((yield* Cursor).current()).toEqual(at)
      }).pipe(Effect.provide(acting(editor, printing([sum]))))
    )
  })

  it("lists all that is different, each with its comparison, its checkpoint and its handler", async () => {
    const editor = fakeEditor()
    const divergence = (seq: number, more: object = {}) => ({
      seq,
      node: "sum",
      visit: 2,
      attempt: 1,
      expected: { total: seq },
      got: { lines: [seq] },
      ...more
    })
    const found = [
      divergence(7),
      divergence(12, { branch: "3/0", attempt: 2 }),
      divergence(15, { node: "pay" })
    ]
    const ref = { store, run: "declined" }
    const list = Drafts.listRefOf(ref)
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        expect(yield* editor.textOf(list)).toMatch(/^\/\/ Replay the run again/)
        expect(yield* editor.lensesOf(list)).toEqual([])
        yield* editor.run("waymark.replay", ref)
        expect(yield* editor.heard(/not as recorded/)).toBe(
          "declined: 3 visits replayed. 3 are not as recorded, the first: visit 2 of sum, position 7."
        )
        expect(editor.said.at(-2)).toBe("document declined.replayed.jsonc")
        // What was open of an earlier replay is read again.
        yield* editor.outdated(list)
        const text = yield* editor.textOf(list)
        const lines = text.split("\n")
        const lenses = yield* editor.lensesOf(list)
        expect(lenses.map(({ line, title }) => [lines[line - 1], title])).toEqual(
          [
            "  // visit 2 of sum, position 7",
            "  // visit 2 of sum, branch 3/0, attempt 2, position 12",
            "  // visit 2 of pay, position 15"
          ].flatMap((line) => [
            [line, "Compare"],
            [line, "Go to checkpoint"],
            [line, "Go to handler"]
          ])
        )
        const plain = lines.filter((line) => !line.trimStart().startsWith("//")).join("\n")
        expect(JSON.parse(plain)).toEqual(
          found.map(({ expected, got }) => ({ recorded: expected, now: got }))
        )
        const [compare, checkpoint, handler] = lenses.slice(-3)
        yield* editor.run(compare!.command, compare!.arguments[0])
        expect(editor.said.at(-1)).toBe("diff declined@15: recorded ↔ replayed")
        expect(checkpoint).toMatchObject({
          command: "waymark.showCheckpoint",
          arguments: [{ ...ref, seq: 15 }]
        })
        expect(handler).toMatchObject({
          command: "waymark.goToHandler",
          arguments: [{ flow: "order", node: "pay" }]
        })
        expect(JSON.parse(yield* editor.textOf(Drafts.refOf({ ...ref, seq: 15 }, "got")))).toEqual({
          lines: [15]
        })
      }).pipe(Effect.provide(acting(editor, printing(found))))
    )
    // As many as are looked for, and values that no editor would show.
    const many = Array.from({ length: Divergences.most }, (_, i) =>
      divergence(i, { got: "x".repeat(100_000) })
    )
    const { lines, text } = Divergences.listOf({ run: "declined", visits: 200, divergences: many })
    expect(text).toMatch(
      /^\/\/ declined: 200 visits replayed, 100 not as recorded\. .* there may be more\.\n/
    )
    expect(text.length).toBeLessThan(6_000_000)
    expect(lines.map((line) => text.split("\n")[line - 1]!.trim())).toEqual(
      many.map(({ seq }) => `// visit 2 of sum, position ${seq}`)
    )
    expect(text).toContain("characters: see the comparison")
  })

  it("makes a test of it in a file that somebody names, and asks before it writes over one", async () => {
    // Beside the flows, which the test imports.
    const file = join(dirname(project.config), "made.ts")
    const answers: Array<boolean> = []
    const editor = fakeEditor({
      input: () => "made.ts",
      confirm: () => {
        answers.push(true)
        return false
      }
    })
    try {
      await Effect.runPromise(
        Effect.gen(function* () {
          yield* use(store)
          yield* editor.run("waymark.testFrom", { store, run: "declined" })
          expect(editor.said.at(-1)).toBe(`file ${file}`)
          expect(answers).toEqual([])
          const text = readFileSync(file, "utf8")
          expect(text).toMatch(/from "\.\/flows\/order\.ts"/)
          yield* editor.run("waymark.testFrom", { store, run: "declined" })
          expect(answers).toEqual([true])
          expect(editor.said.at(-1)).toMatch(/^Write over made\.ts\?/)
        }).pipe(Effect.provide(acting(editor)))
      )
    } finally {
      rmSync(file, { force: true })
    }
  })

  it("starts a run of a flow that the project has, with an input that its schema takes", async () => {
    const typed: Array<string | undefined> = []
    const editor = fakeEditor({
      pick: (_title, choices) => choices.find(({ label }) => label === "counter")?.value,
      input: ({ validate }) => {
        typed.push(validate?.("many"))
        return "3"
      },
      confirm: () => true
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        yield* editor.run("waymark.start")
        const { run } = (yield* Cursor).current()!
        expect(yield* runs.get(run)).toMatchObject({ flow: "counter", status: "completed" })
        expect(typed).toEqual(["Type a number."])
        expect(editor.said.some((text) => /^Start a run of counter in .*\n.*Its input: 3$/s.test(text))).toBe(
          true
        )

        // Whoever uses a worker that dies is told; one that nobody uses says so itself.
        const { running, use: useWorker } = yield* Workers
        const { pid } = running(store)!.client.welcome
        const using = yield* Effect.forkChild(Effect.flip(useWorker(store, () => Effect.never)), {
          startImmediately: true
        })
        process.kill(pid, "SIGKILL")
        expect((yield* Fiber.join(using)).message).toMatch(/^the worker ended: .*SIGKILL/)
        yield* useWorker(store, () => Effect.void)
        const again = running(store)!.client
        expect(again.welcome.pid).not.toBe(pid)
        process.kill(again.welcome.pid, "SIGKILL")
        yield* editor.heard(/^The worker of ws\/waymark\.config\.ts is gone\. the worker ended: .*SIGKILL/)
        expect(running(store)).toBeUndefined()
      }).pipe(Effect.provide(acting(editor)))
    )
  })

  it("gets another worker for who asks while one is stopped", async () => {
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        const { running, stop, use: useWorker } = yield* Workers
        const pid = useWorker(store, ({ client }) => Effect.succeed(client.welcome.pid))
        const first = yield* pid
        const using = yield* Effect.forkChild(
          useWorker(store, () => Effect.never),
          {
            startImmediately: true
          }
        )
        const stopping = yield* Effect.forkChild(stop, { startImmediately: true })
        const second = yield* pid
        expect(second).toBeTypeOf("number")
        expect(second).not.toBe(first)
        // Who used it is told nothing: it was stopped.
        expect(yield* Fiber.join(using)).toBeUndefined()
        expect(yield* Fiber.join(stopping)).toBe(1)
        expect(running(store)?.client.welcome.pid).toBe(second)
      }).pipe(Effect.provide(acting(fakeEditor())))
    )
  })

  it("says what a project's code fails with before it does anything", async () => {
    const editor = fakeEditor()
    const broken = { ...project, args: ["-e", "console.error('no such thing'); process.exit(1)", "--"] }
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        const { command, use: useWorker } = yield* Workers
        const replayed = yield* Effect.flip(command(store, "replay", ["declined"]))
        expect(replayed.message).toBe("waymark replay: no such thing")
        const died = yield* Effect.flip(useWorker(store, () => Effect.void))
        expect(died.message).toMatch(/the worker ended: exit code 1\nno such thing/)
      }).pipe(Effect.provide(acting(editor, Effect.succeed(broken))))
    )
  })
})
