import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { browserReportFile, projectsOf, reportFile, totalsOf, verdictOf } from "../totals/totals.ts"

const temporary = mkdtempSync(join(tmpdir(), "totals-"))
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

let count = 0
const workspace = (files: { readonly [path: string]: unknown }): string => {
  const root = join(temporary, String(count++))
  for (const [path, content] of Object.entries({
    "package.json": { workspaces: ["packages/*"] },
    ...files
  })) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), JSON.stringify(content))
  }
  return root
}

const tested = { scripts: { test: "vitest run" } }
const file = (status: string, ...statuses: ReadonlyArray<string>) => ({
  name: "x.test.ts",
  status,
  assertionResults: statuses.map((each) => ({ status: each }))
})

describe("test totals", () => {
  it("wants the report of end-to-end tests where there are any, and counts it", () => {
    const scripts = { "test:e2e": "node run.ts" }
    const without = totalsOf(workspace({ "packages/a/package.json": { scripts } }))
    assert.deepInclude(without, { passed: 0, failed: 1 })
    assert.match(without.lines[0]!, /^packages\/a, test:e2e: there is no test-results\/e2e.json/)
    const report = { success: false, testResults: [file("failed", "passed", "failed")] }
    const root = workspace({
      "packages/a/package.json": { scripts },
      "packages/a/test-results/e2e.json": report
    })
    assert.deepInclude(totalsOf(root), { passed: 1, failed: 1 })
  })

  it("adds up what the projects report", () => {
    const root = workspace({
      "packages/a/package.json": tested,
      [`packages/a/${reportFile}`]: {
        success: true,
        testResults: [file("passed", "passed", "pending", "passed")]
      },
      "packages/b/package.json": tested,
      [`packages/b/${reportFile}`]: { success: false, testResults: [file("failed", "passed", "failed")] },
      "packages/c/package.json": {}
    })
    assert.deepStrictEqual(projectsOf(root), [
      { folder: "packages/a", script: "test" },
      { folder: "packages/b", script: "test" }
    ])
    const { failed, passed, skipped } = totalsOf(root)
    assert.deepStrictEqual([passed, failed, skipped], [3, 1, 1])
  })

  it("counts a missing report as a failure", () => {
    const { failed, lines } = totalsOf(workspace({ "packages/a/package.json": tested }))
    assert.strictEqual(failed, 1)
    assert.match(lines.join("\n"), /packages\/a: there is no test-results\/report\.json/)
  })

  it("adds what ran in a browser, and misses it where it did not", () => {
    const both = { scripts: { test: "vitest run", "test:browser": "vitest run" } }
    const passed = { success: true, testResults: [file("passed", "passed")] }
    const root = workspace({
      "packages/a/package.json": both,
      [`packages/a/${reportFile}`]: passed,
      [`packages/a/${browserReportFile}`]: passed,
      "packages/b/package.json": both,
      [`packages/b/${reportFile}`]: passed
    })
    const totals = totalsOf(root)
    assert.deepStrictEqual([totals.passed, totals.failed], [3, 1])
    assert.match(
      totals.lines.join("\n"),
      /packages\/b, test:browser: there is no test-results\/browser\.json/
    )
  })

  it("counts a file that could not be loaded as a failure", () => {
    const root = workspace({
      "packages/a/package.json": tested,
      [`packages/a/${reportFile}`]: {
        success: false,
        testResults: [file("failed"), file("passed", "passed")]
      }
    })
    const { failed, passed } = totalsOf(root)
    assert.deepStrictEqual([passed, failed], [1, 1])
  })

  it("counts a run that failed though no test did", () => {
    const root = workspace({
      "packages/a/package.json": tested,
      [`packages/a/${reportFile}`]: { success: false, testResults: [file("passed", "passed")] }
    })
    assert.strictEqual(totalsOf(root).failed, 1)
  })
})

describe("verdict", () => {
  const totals = { passed: 3, failed: 0, skipped: 0, lines: [] }
  const verdict = (...args: Parameters<typeof verdictOf>) => {
    const { lines, success } = verdictOf(...args)
    return [lines.at(-1), success]
  }

  it("succeeds if tests passed and nothing failed", () => {
    assert.deepStrictEqual(verdict(totals, []), ["3 passed, 0 failed", true])
  })

  it("counts checks that failed", () => {
    assert.deepStrictEqual(verdict(totals, ["lint", "types"]), ["3 passed, 2 failed", false])
  })

  it("counts the test run on its own only if no test in it failed", () => {
    assert.deepStrictEqual(verdict(totals, ["tests"]), ["3 passed, 1 failed", false])
    assert.deepStrictEqual(verdict({ ...totals, failed: 2 }, ["tests"]), ["3 passed, 2 failed", false])
  })

  it("fails if no test ran", () => {
    assert.deepStrictEqual(verdict({ ...totals, passed: 0 }, []), ["0 passed, 1 failed", false])
  })
})
