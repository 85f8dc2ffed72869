import { assert, describe, it } from "@effect/vitest"
import { captureSite, parseSite } from "../../src/internal/definition/site.ts"

describe("a definition site", () => {
  const frames: Record<string, readonly [stack: string, file: string, line: number, column: number]> = {
    "V8, module": ["Error\n    at file:///home/a%20b/flow.ts:12:34", "/home/a b/flow.ts", 12, 34],
    "V8, function": ["Error\n    at make (file:///a/flow.ts:1:2)", "/a/flow.ts", 1, 2],
    "V8, path": ["Error\n    at Object.<anonymous> (/a/(b)/flow.ts:1:2)", "/a/(b)/flow.ts", 1, 2],
    "V8, async": ["Error\n    at async file:///a/flow.ts:1:2", "/a/flow.ts", 1, 2],
    "V8, Windows": ["Error\n    at file:///C:/a/flow.ts:1:2", "C:/a/flow.ts", 1, 2],
    "V8, Windows path": ["Error\n    at f (C:\\a\\flow.ts:1:2)", "C:\\a\\flow.ts", 1, 2],
    "V8, browser": ["Error\n    at f (https://x.y/flow.js:1:2)", "https://x.y/flow.js", 1, 2],
    Firefox: ["make@http://localhost:8080/flow.js:3:4", "http://localhost:8080/flow.js", 3, 4],
    "Firefox, module": ["@file:///a/flow.js:3:4", "/a/flow.js", 3, 4],
    Safari: ["module code@http://localhost/flow.js:3:4", "http://localhost/flow.js", 3, 4],
    "a path with a bare percent sign": ["Error\n    at file:///a/50%/flow.ts:1:2", "/a/50%/flow.ts", 1, 2]
  }
  for (const [name, [stack, file, line, column]] of Object.entries(frames)) {
    it(`is read from a stack: ${name}`, () => {
      assert.deepStrictEqual(parseSite(stack), { file, line, column })
    })
  }

  it("is unknown where the stack says nothing", () => {
    assert.isUndefined(parseSite(undefined))
    assert.isUndefined(parseSite("Error\n    at <anonymous>"))
  })

  /** The line on which this is called. */
  const here = () => parseSite(new Error().stack, 1)?.line ?? 0

  it("is the place of the call, however deep the function that captures it", () => {
    const outer = () => inner()
    const inner = () => captureSite(outer)
    const line = here()
    const site = outer()()
    assert.match(site?.file ?? "", /site\.test\.ts$/)
    assert.strictEqual(site?.line, line + 1)
  })

  it("is the place of the call where stacks cannot be cut", () => {
    const original = Object.getOwnPropertyDescriptor(Error, "captureStackTrace")!
    const make = () => captureSite(make)
    Error.captureStackTrace = undefined as never
    const line = here()
    const site = make()
    Object.defineProperty(Error, "captureStackTrace", original)
    assert.match(site()?.file ?? "", /site\.test\.ts$/)
    assert.strictEqual(site()?.line, line + 1)
  })
})
