import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { anchorsOf, blocksOf, docCommentsOf, linksOf } from "../docs/blocks.ts"
import { checkDocs } from "../docs/check.ts"

// The documents must lie in the workspace: what they import is resolved from where they are.
const build = resolve(import.meta.dirname, "../../build")
mkdirSync(build, { recursive: true })
const temporary = mkdtempSync(join(build, "docs-test-"))
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

let count = 0
const check = (files: { readonly [path: string]: ReadonlyArray<string> }) => {
  const root = join(temporary, String(count++))
  for (const [path, lines] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), lines.join("\n"))
  }
  return checkDocs({ root, scratch: join(root, "build") })
}

const ts = (info: string, ...code: ReadonlyArray<string>) => [`\`\`\`${info}`, ...code, "```"]
const succeed = [
  'import * as Effect from "effect/Effect"',
  "console.log(Effect.runSync(Effect.succeed(6 * 7)))"
]

describe("check-docs", () => {
  it("accepts blocks that compile, and runs and compares those marked so", () => {
    const report = check({
      "README.md": ["# Title", "", ...ts("ts run", ...succeed), "It prints:", ...ts("text output", "42")],
      "docs/guide/page.md": [
        "See [the start](../../README.md#title).",
        ...ts("ts", "export const n: number = 1")
      ],
      "packages/a/README.md": ts("typescript", "export const s: string = ''")
    })
    assert.deepStrictEqual(report.problems, [])
    assert.deepStrictEqual([report.checked, report.executed, report.compared, report.links], [3, 1, 1, 1])
  })

  it("reports a block that does not compile at its place in the document", () => {
    const report = check({
      "README.md": ["# Title", "", ...ts("ts", "const fine: number = 1", 'const wrong: number = "one"')]
    })
    assert.strictEqual(report.problems.length, 1)
    assert.match(report.problems[0]!, /^README\.md:5:7: error TS2322/)
  })

  it("reports an import of something that a module does not export", () => {
    const report = check({ "docs/a.md": ts("ts", 'import { nothing } from "effect/Effect"', "nothing()") })
    assert.match(report.problems.join("\n"), /^docs\/a\.md:2:10: error TS2305/)
  })

  it("reports a block that fails when it runs", () => {
    const report = check({ "README.md": ts("ts run", 'throw new Error("no luck")') })
    assert.strictEqual(report.problems.length, 1)
    assert.match(report.problems[0]!, /^README\.md:2: running this block ended with exit code 1[^]*no luck/)
  })

  it("reports an output that differs from the one shown, with the real one", () => {
    const report = check({ "README.md": [...ts("ts run", ...succeed), ...ts("text output", "43")] })
    assert.strictEqual(report.problems.length, 1)
    assert.match(report.problems[0]!, /^README\.md:6: this is not what the block before it prints[^]*42/)
  })

  it("joins a block with those it continues", () => {
    const report = check({
      "README.md": [
        ...ts("ts", "const n: number = 1"),
        "and then",
        ...ts("ts continued", "const m: string = n")
      ]
    })
    assert.strictEqual(report.checked, 1)
    assert.match(report.problems.join("\n"), /^README\.md:6:7: error TS2322/)
  })

  it("reports an example in a doc comment that does not compile", () => {
    const report = check({
      "packages/a/src/A.ts": [
        'const glob = "src/**/*.ts"',
        "/**",
        " * Says it.",
        " *",
        " * @example",
        " * ```ts",
        " * const wrong: number = 'one'",
        " * ```",
        " */",
        "export const a = glob"
      ]
    })
    assert.strictEqual(report.problems.length, 1)
    assert.match(report.problems[0]!, /^packages\/a\/src\/A\.ts:7:10: error TS2322/)
  })

  it("reports an example without code", () => {
    const report = check({
      "packages/a/src/A.ts": ["/**", " * @example", " * A.a", " */", "export const a = 1"],
      "README.md": ts("ts", "export const n = 1")
    })
    assert.deepStrictEqual(report.problems, ["packages/a/src/A.ts:2: this @example has no ```ts block"])
  })

  it("reports links that lead nowhere", () => {
    const report = check({
      "README.md": [
        "# One",
        "[a](docs/none.md) [b](#one) [c](#two) [d](https://example.com)",
        ...ts("ts", "export {}")
      ]
    })
    assert.deepStrictEqual(report.problems, [
      "README.md:2: the link leads to docs/none.md, which is not there",
      "README.md:2: README.md has no heading for #two"
    ])
  })

  it("reports what cannot be checked: unknown words, stray outputs, open blocks, no block at all", () => {
    assert.match(
      check({ "README.md": ts("ts ignore", "export {}") }).problems.join("\n"),
      /unknown word "ignore"/
    )
    assert.match(
      check({ "README.md": [...ts("ts", "export {}"), ...ts("text output", "1")] }).problems.join("\n"),
      /follows the "ts run" block/
    )
    assert.match(
      check({ "README.md": ["```ts", "export {}"] }).problems.join("\n"),
      /README\.md:1: .*never closed/
    )
    assert.match(check({ "README.md": ["# Nothing"] }).problems.join("\n"), /no code block/)
  })
})

describe("blocks", () => {
  it("keeps lines and columns, in lists and with longer fences too", () => {
    const { blocks } = blocksOf(["- item", "  ```ts run", "  a()", "  ```", "````md", "```ts", "```", "````"])
    assert.deepStrictEqual(blocks, [
      { info: ["ts", "run"], line: 3, code: ["  a()"] },
      { info: ["md"], line: 6, code: ["```ts", "```"] }
    ])
  })

  it("finds doc comments of one and of many lines, and no globs", () => {
    const source = ['const a = "x/**/y"', "/** One. */", "const b = 1", "  /**", "   * Two.", "   */"].join(
      "\n"
    )
    assert.deepStrictEqual(docCommentsOf(source), [
      { firstLine: 2, lines: ["    One. "] },
      { firstLine: 4, lines: ["     ", "     Two.", "   "] }
    ])
  })

  it("sees no links in code, and numbers equal headings", () => {
    assert.deepStrictEqual(linksOf(["`[a](b)` [c](d)", "```", "[e](f)", "```"]), [{ line: 1, target: "d" }])
    assert.deepStrictEqual(
      [...anchorsOf(["# The `one` idea!", "## Same", "## Same"])],
      ["the-one-idea", "same", "same-1"]
    )
  })
})
