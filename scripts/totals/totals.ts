/** Adds up the JSON reports that Vitest leaves in each project, and those of end-to-end tests, which are like them. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"

/** The report that each script leaves in its project's folder. */
const reportFiles = { test: "test-results/report.json", "test:e2e": "test-results/e2e.json" } as const
type Script = keyof typeof reportFiles

export const reportFile = reportFiles.test

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

/** The folders below `root` whose package has a script. */
export const projectsOf = (root: string, script: Script = "test"): ReadonlyArray<string> => {
  const manifest: { readonly workspaces: ReadonlyArray<string> } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8")
  )
  return manifest.workspaces
    .flatMap((pattern) => globSync(`${pattern}/package.json`, { cwd: root }))
    .filter((file) => {
      const { scripts }: { readonly scripts?: { readonly [name in Script]?: string } } = JSON.parse(
        readFileSync(join(root, file), "utf8")
      )
      return scripts?.[script] !== undefined
    })
    .map((file) => dirname(file).replaceAll("\\", "/"))
    .sort()
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
  const expected = (["test", "test:e2e"] as const).flatMap((script) =>
    projectsOf(root, script).map((folder) => ({
      folder,
      project: script === "test" ? folder : `${folder} in the editor`,
      name: reportFiles[script]
    }))
  )
  for (const { folder, name, project } of expected) {
    const file = join(root, folder, name)
    if (!existsSync(file)) {
      failed++
      lines.push(`${project}: there is no ${name}: its tests did not run to their end`)
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

/**
 * The totals together with the checks that failed, as lines of which the last is `N passed, N failed`.
 *
 * The check named `tests` is the test run itself: it counts on its own only if it failed although no test did.
 */
export const verdictOf = (
  totals: Totals,
  failedChecks: ReadonlyArray<string>
): { readonly lines: ReadonlyArray<string>; readonly success: boolean } => {
  const counted = failedChecks.filter((check) => check !== "tests" || totals.failed === 0)
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
