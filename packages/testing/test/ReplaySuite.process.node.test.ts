/** A team's lock, as Vitest shows it: a process of its own replays a folder of journals against a flow. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { executeTests, temporaryFolder } from "./vitestProcess.ts"

const suite = `import * as ReplaySuite from "@waymark/testing/ReplaySuite"
import { Invoice, InvoiceHandlers } from "./invoice.ts"

ReplaySuite.suite({
  folder: new URL("./journals", import.meta.url),
  flows: [Invoice],
  handlers: InvoiceHandlers
})
`

/** A project with the journals, whose flow is as it is here or changed. */
const project = (parent: string, name: string, change: (source: string) => string): void => {
  const folder = join(parent, "test", name)
  mkdirSync(join(folder, "journals"), { recursive: true })
  const here = import.meta.dirname
  writeFileSync(join(folder, "invoice.ts"), change(readFileSync(join(here, "invoice.ts"), "utf8")))
  writeFileSync(join(folder, `${name}.test.ts`), suite)
  copyFileSync(join(here, "journals/reminded.jsonl"), join(folder, "journals/reminded.jsonl"))
}

const replaced = (from: string, to: string) => (source: string) => {
  assert.include(source, from)
  return source.replace(from, to)
}

describe("ReplaySuite in a process of its own", () => {
  it.live(
    "is green for the flow that was recorded; for a changed one it is red, and says where, what was and what is",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder("replayed")
        project(folder, "same", (source) => source)
        project(folder, "text", replaced("pay ${input.amount}", "pay ${input.amount} now"))
        project(folder, "target", replaced('verdict === "yes"', 'verdict === "no"'))
        project(folder, "gone", replaced('Flow.make("invoice"', 'Flow.make("bill"'))
        project(folder, "empty", (source) => source)
        writeFileSync(join(folder, "test/empty/journals/reminded.jsonl"), "\n")
        const { exitCode, files } = yield* executeTests(folder)
        assert.strictEqual(exitCode, 1)
        assert.strictEqual(files.size, 5)
        for (const [name, { tests }] of files)
          assert.deepStrictEqual(tests, ["recorded journals reminded: comes to the same"], name)

        const outcome = (name: string) => files.get(`${name}.test.ts`)!
        assert.strictEqual(outcome("same").status, "passed", outcome("same").message)

        const says = (name: string, lines: ReadonlyArray<string>) => {
          const { message, status } = outcome(name)
          assert.strictEqual(status, "failed", name)
          const file = join(folder, "test", name, "journals/reminded.jsonl")
          assert.include(
            message,
            `ReplayFailed: ${file}: recorded run "reminded" of flow invoice: ${lines.join("\n")}`
          )
        }
        says("text", [
          "visit 2 of node send does something else than it did (event 5)",
          '  recorded: {"tool":"mail","call":"mail/87e00f1bd77161a8b07b4463c519f420/0","input":{"to":"ada","text":"please pay 5"}}',
          '  now:      {"tool":"mail","call":"mail/cbcd35a3a64a811484870bf4169c017d/0","input":{"to":"ada","text":"please pay 5 now"}}',
          '  input.text: "please pay 5" was expected, it is "please pay 5 now"',
          "it had done, up to there:"
        ])
        assert.include(outcome("text").message, '  send calls mail {"to":"ada","text":"please pay 5"}\n')
        says("target", [
          "visit 1 of node approve does something else than it did (event 4)",
          '  recorded: {"kind":"visited","next":{"to":"send"},"ops":{}}',
          '  now:      {"kind":"visited","next":{"end":true},"ops":{}}'
        ])
        assert.include(outcome("empty").message, "reminded.jsonl holds no journal; record it anew")
        says("gone", ["there is no such flow among those to replay against (bill)"])
      }).pipe(Effect.scoped),
    300_000
  )
})
