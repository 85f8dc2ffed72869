import { Runs } from "@waymark/core"
import { Effect } from "effect"
import { beforeAll, describe, expect, it } from "vitest"
import { allListed } from "../src/acting/Following.ts"
import { Workers } from "../src/acting/Workers.ts"
import * as Project from "../src/acting/Project.ts"
import { Stores } from "../src/reading/Stores.ts"
import { fakeEditor } from "./fakeEditor.ts"
import { acting, makeStore, noProject, row, use } from "./project.ts"

let store = ""
beforeAll(async () => {
  store = await makeStore()
})

describe("executing runs that are there", () => {
  it("offers those that have not ended, if none is meant", async () => {
    const offered: Array<string> = []
    const editor = fakeEditor({
      pick: (_title, choices) => {
        offered.push(...choices.map(({ label }) => label))
        return undefined
      }
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        yield* allListed(yield* Stores, store)
        yield* editor.run("waymark.execute")
        expect(editor.said).toEqual(["Execute which run?"])
        expect(offered).toEqual(["asking"])
      }).pipe(Effect.provide(acting(editor)))
    )
  })

  it("takes up all of a store, and says how they stand", async () => {
    const questions: Array<string> = []
    const editor = fakeEditor({
      confirm: (question, detail) => {
        questions.push(`${question}\n${detail}`)
        return true
      }
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const runs = yield* use(store)
        yield* editor.run("waymark.executeAll", { kind: "store", store })
        expect(questions).toHaveLength(1)
        expect(questions[0]).toMatch(/^Execute the unfinished run of ws\/\.waymark here\?\nThe worker of/)
        expect(questions[0]).toMatch(/How they stand: 1 waiting\.$/)
        expect(yield* editor.heard(/^Of 1 run/)).toBe("Of 1 run of ws/.waymark: 1 waiting.")
        // The worker is kept for it: what it waits for makes it go on.
        expect((yield* Workers).running(store)).toBeDefined()
        yield* runs.get("asking")
        yield* (yield* Workers).use(store, ({ client }) =>
          client.requests.answer({ run: "asking", wait: "approval", value: { approve: true, note: "fine" } })
        )
        yield* row("asking", "completed").pipe(Effect.provideService(Runs.Runs, runs))
        // What was read of the store follows.
        const { source } = yield* Stores
        while (source(store)?.catalog.get("asking")?.status !== "completed") yield* Effect.sleep("10 millis")
        yield* editor.run("waymark.executeAll", { kind: "store", store })
        yield* editor.heard(/^No run of ws\/\.waymark that has not ended can be executed here\.$/)
      }).pipe(Effect.provide(acting(editor)))
    )
  })
})

describe("what stands in the way", () => {
  const told = async (problem: Project.NoProject, command: string) => {
    const editor = fakeEditor({ press: (_text, [first]) => first })
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* use(store)
        yield* editor.run(command, { store, run: "declined" })
        yield* editor.heard(/^(terminal|workbench)/)
      }).pipe(Effect.provide(acting(editor, Effect.fail(problem))))
    )
    return editor.said
  }
  const because = (reason: Project.NoProject["reason"]) => new Project.NoProject({ reason })

  it("is said with a command that is typed into a terminal and not sent", async () => {
    const none = because({ _tag: "NoConfig", searched: "/ws", folder: "/ws" })
    expect(await told(none, "waymark.replay")).toEqual([
      expect.stringMatching(/^The run cannot be replayed: there is no waymark\.config\.ts in \/ws/),
      "terminal in /ws: npx @waymark/cli init"
    ])
    const missing = because({ _tag: "NoCommand", folder: "/ws" })
    for (const command of ["waymark.execute", "waymark.start", "waymark.testFrom", "waymark.executeAll"]) {
      expect(await told(missing, command)).toEqual([
        expect.stringMatching(/: @waymark\/cli is not installed for \/ws.*npm install/),
        "terminal in /ws: npm install --save-dev @waymark/cli"
      ])
    }
  })

  it("is said with the setting, if Node is what is wrong", async () => {
    const old = because({ _tag: "OldNode", node: "node", version: "20.0.0", needed: ">=22.19" })
    expect((await told(old, "waymark.replay")).at(-1)).toBe("workbench.action.openSettings waymark.node")
  })

  it("is said with the way to trust", async () => {
    for (const command of ["waymark.pause", "waymark.fork", "waymark.start", "waymark.executeAll"]) {
      const editor = fakeEditor({ trusted: false, press: (_text, [first]) => first })
      await Effect.runPromise(
        Effect.gen(function* () {
          yield* use(store)
          yield* editor.run(command, { store, run: "declined" })
          yield* editor.heard(/^workbench/)
          expect(editor.said).toEqual([
            "This workspace is not trusted: its runs are only shown, and none of its code is executed.",
            "workbench.trust.manage"
          ])
        }).pipe(Effect.provide(acting(editor, Effect.fail(noProject))))
      )
    }
  })
})
