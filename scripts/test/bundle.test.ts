import { assert, describe, it } from "vitest"
import { bundle } from "../bundle/bundle.ts"
import { runInBrowserLike } from "../bundle/sandbox.ts"
import { effectMembersOf, measure } from "../bundle/size.ts"

describe("bundle", () => {
  it("reports imports of Node modules, also dynamic and guarded ones", async () => {
    const { nodeImports } = await bundle({
      entry: {
        text: `
          import { readFileSync } from "node:fs"
          export const late = () => import("path").catch(() => undefined)
          export const read = readFileSync`
      }
    })
    assert.deepStrictEqual(nodeImports.map((text) => text.replace(/^.* imports /, "")).sort(), [
      "node:fs",
      "path"
    ])
  })

  it("reports globals of Node, but not local names that are like them", async () => {
    const markGlobals = true
    const used = await bundle({
      entry: { text: "export const a = typeof process\nexport const b = globalThis.Buffer" },
      markGlobals
    })
    assert.deepStrictEqual(used.nodeGlobals, ["process", "Buffer"])
    const local = await bundle({
      entry: {
        text: "export const f = (process: { pid: number }) => process.pid\nexport const s = 'Buffer'"
      },
      markGlobals
    })
    assert.deepStrictEqual(local.nodeGlobals, [])
  })
})

describe("runInBrowserLike", () => {
  it("gives what the script gives", async () => {
    const script = "var bundled = { result: Promise.resolve([1]), expected: [1] }"
    const { expected, result } = await runInBrowserLike(script)
    assert.strictEqual(JSON.stringify(result), JSON.stringify(expected))
  })

  it("has nothing of Node", async () => {
    for (const global of ["process", "Buffer", "require", "setImmediate"]) {
      const script = `var bundled = { result: Promise.resolve(typeof ${global}), expected: "undefined" }`
      const { result } = await runInBrowserLike(script)
      assert.strictEqual(result, "undefined", global)
    }
  })

  it("fails as the script fails", async () => {
    const failing = runInBrowserLike("var bundled = { result: Promise.reject(new Error('no luck')) }")
    assert.match(String(await failing.catch((error: unknown) => error)), /no luck/)
  })
})

describe("measure", () => {
  it("finds the members of effect that a bundle uses", () => {
    const members = effectMembersOf(
      [
        'import * as Effect from "effect/Effect";',
        'import { isNumber, isString as isText } from "effect/Predicate";',
        "export const a = Effect.succeed(1), b = other.Effect.die, c = MyEffect.fail;"
      ].join("\n")
    )
    assert.deepStrictEqual(
      [...members].map(([module, names]) => [module, [...names]]),
      [
        ["effect/Effect", ["succeed"]],
        ["effect/Predicate", ["isNumber", "isString"]]
      ]
    )
  })

  it("counts what code adds to the effect modules it uses, and not these modules", async () => {
    const use =
      'import * as Effect from "effect/Effect"\nglobalThis.run = () => Effect.runPromise(Effect.succeed(1))'
    const small = await measure({ text: use })
    // What gzip cannot shorten: the code adds about as many bytes as this text has.
    let seed = 1
    const noise = Array.from({ length: 5_000 }, () => {
      seed = (seed * 48_271) % 2_147_483_647
      return String.fromCharCode(48 + (seed % 64))
    }).join("")
    const large = await measure({ text: `${use}\nglobalThis.noise = ${JSON.stringify(noise)}` })
    assert.isAbove(small.effect, 5_000)
    assert.isBelow(small.added, 200)
    assert.isAbove(large.added, 3_500)
    assert.isBelow(large.added, 5_500)
    assert.strictEqual(large.effect, small.effect)
  })
})
