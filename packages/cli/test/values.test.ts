import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as Given from "../src/internal/given.ts"
import * as Values from "../src/internal/values.ts"
import { Triage } from "./fixtures/project/flows.ts"
import { folder, removeFolders } from "./support/command.ts"

afterAll(removeFolders)

describe("a value on the command line", () => {
  it.effect("is JSON, a text, or in a file", () =>
    Effect.gen(function* () {
      const value = (text: string) => Given.value("the answer", text)
      assert.deepStrictEqual(yield* value(' {"a":1}'), { a: 1 })
      assert.strictEqual(yield* value("-12.5"), -12.5)
      assert.strictEqual(yield* value("true"), true)
      assert.strictEqual(yield* value("trueish"), "trueish")
      assert.strictEqual(yield* value("ship it"), "ship it")
      const file = join(folder(), "value.json")
      writeFileSync(file, "[1]")
      assert.deepStrictEqual(yield* value(`@${file}`), [1])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("that is begun like JSON has to be JSON", () =>
    Effect.gen(function* () {
      for (const text of ["{ticket: T}", "[1", '"', "12 Main Street", "@/not/there.json"]) {
        const error = yield* Effect.flip(Given.value("the answer", text))
        assert.strictEqual(error._tag, "BadInput", text)
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("may be one of several, by name", () =>
    Effect.gen(function* () {
      const named = yield* Given.named("--edit", ["a=[1]", "b=", "c=x=y"])
      assert.deepStrictEqual(named, { a: [1], b: undefined, c: "x=y" })
      assert.strictEqual((yield* Effect.flip(Given.named("--edit", ["=1"])))._tag, "BadInput")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("edits", () => {
  it.effect("are decoded as the channels are", () =>
    Effect.gen(function* () {
      const edits = yield* Values.edits(Triage, { notes: ["x"], verdict: undefined })
      assert.deepStrictEqual(edits, { notes: ["x"], verdict: undefined })
    })
  )

  it.effect("of channels that are not there, or with what does not fit, are refused", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(Values.edits(Triage, { note: [] }))
      assert.include(unknown.message, 'did you mean "notes"?')
      const unfit = yield* Effect.flip(Values.edits(Triage, { notes: [1] }))
      assert.strictEqual(unfit._tag, "InvalidValue")
      assert.include(unfit.message, 'channel "notes" is not valid')
    })
  )
})
