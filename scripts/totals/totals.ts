/** Adds up the JSON reports that Vitest leaves in each project. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** The scripts that run tests, and the report that each of them leaves. */
const reports = {
  test: "test-results/report.json",
  "test:browser": "test-results/browser.json",
  "test:e2e": "test-results/e2e.json"
} as const
export const reportFile = reports.test
export const browserReportFile = reports["test:browser"]

/** A folder below the root, and one of its scripts that run tests. */
export interface Project {
  readonly folder: string
  readonly script: keyof typeof reports
}

interface Assertion {
  readonly status: string
}

/** The parts of Vitest's report that count. */
interface VitestReport {
  readonly success: boolean
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly assertionResults: ReadonlyArray<Assertion>
  }>
}

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** One line for each project, and one for each thing that is wrong. */
  readonly lines: ReadonlyArray<string>
}

/** What runs tests in the folders below `root`. */
export const projectsOf = (root: string): ReadonlyArray<Project> => {
  const manifest: { readonly workspaces: ReadonlyArray<string> } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8")
  )
  const scripts = Object.keys(reports) as Array<keyof typeof reports>
  return manifest.workspaces
    .flatMap((pattern) => globSync(`${pattern}/package.json`, { cwd: root }))
    .sort()
    .flatMap((file) => {
      const { scripts: own }: { readonly scripts?: { readonly [name: string]: string } } = JSON.parse(
        readFileSync(join(root, file), "utf8")
      )
      const folder = dirname(file).replaceAll("\\", "/")
      return scripts.filter((script) => own?.[script] !== undefined).map((script) => ({ folder, script }))
    })
}

/**
 * Adds up what the projects' tests gave. A project without a report, a file that could not be loaded and a run that
 * failed outside of any test count as one failure each.
 */
export const totalsOf = (root: string): Totals => {
  let passed = 0
  let failed = 0
  let skipped = 0
  const lines: Array<string> = []
  for (const { folder, script } of projectsOf(root)) {
    const project = script === "test" ? folder : `${folder}, ${script}`
    const file = join(root, folder, reports[script])
    if (!existsSync(file)) {
      failed++
      lines.push(`${project}: there is no ${reports[script]}: its tests did not run to their end`)
      continue
    }
    const report: VitestReport = JSON.parse(readFileSync(file, "utf8"))
    const count = { passed: 0, failed: 0, skipped: 0 }
    for (const { assertionResults, name, status } of report.testResults) {
      const before = count.failed
      for (const assertion of assertionResults) {
        if (assertion.status === "passed") count.passed++
        else if (assertion.status === "failed") count.failed++
        else count.skipped++
      }
      if (status === "failed" && count.failed === before) {
        count.failed++
        lines.push(`${project}: ${name} failed outside of its tests`)
      }
    }
    if (!report.success && count.failed === 0) {
      count.failed++
      lines.push(`${project}: the test run failed outside of its tests`)
    }
    passed += count.passed
    failed += count.failed
    skipped += count.skipped
    const also = count.skipped > 0 ? `, ${count.skipped} skipped` : ""
    lines.push(`${project}: ${count.passed} passed, ${count.failed} failed${also}`)
  }
  return { passed, failed, skipped, lines }
}

const testRuns: ReadonlySet<string> = new Set(["tests", "browser tests"])

/**
 * The totals together with the checks that failed, as lines of which the last is `N passed, N failed`.
 *
 * The checks named `tests` and `browser tests` are the test runs themselves: they count on their own only if they failed
 * although no test did.
 */
export const verdictOf = (
  totals: Totals,
  failedChecks: ReadonlyArray<string>
): { readonly lines: ReadonlyArray<string>; readonly success: boolean } => {
  const counted = failedChecks.filter((check) => !testRuns.has(check) || totals.failed === 0)
  const lines = [...totals.lines, ...counted.map((check) => `check failed: ${check}`)]
  if (totals.skipped > 0) lines.push(`${totals.skipped} tests were skipped`)
  let failed = totals.failed + counted.length
  if (totals.passed === 0) {
    lines.push("no test passed: that is a failure, too")
    failed = Math.max(1, failed)
  }
  lines.push(`${totals.passed} passed, ${failed} failed`)
  return { lines, success: failed === 0 }
}
