/** Vitest as a process of its own, for test files that are to fail. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")

/** A folder from which tests find this package's sources and dependencies; it is removed with the scope. */
export const temporaryFolder = (prefix: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const parent = join(root, "test-results")
      mkdirSync(parent, { recursive: true })
      return mkdtempSync(join(parent, `${prefix}-`))
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

/** What became of a test file: with all that its failures say, and the full names of its tests. */
export interface FileResult {
  readonly status: string
  readonly message: string
  readonly tests: ReadonlyArray<string>
}

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

/** Executes the test files in a folder: how the process ended, and the results by the name of the file. */
export const executeTests = (
  folder: string
): Effect.Effect<{ readonly exitCode: number; readonly files: ReadonlyMap<string, FileResult> }> =>
  Effect.promise(async () => {
    const report = join(folder, "report.json")
    const args = [
      resolve(root, "../../node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      join(root, "vitest.config.ts"),
      "--root",
      folder,
      "--dir",
      folder,
      "--no-isolate",
      "--maxWorkers=1",
      "--reporter=json",
      `--outputFile=${report}`
    ]
    const exitCode = await new Promise<number>((done) => {
      const child = execFile(
        process.execPath,
        args,
        { cwd: folder, env: { ...process.env, VITEST: undefined } },
        () => done(child.exitCode ?? -1)
      )
    })
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
    const files = testResults.map(({ assertionResults, message, name, status }) => {
      const messages = assertionResults.flatMap(({ failureMessages }) => failureMessages)
      const tests = assertionResults.map(({ fullName }) => fullName)
      const result = { status, message: [message, ...messages].join("\n"), tests }
      return [name.slice(name.lastIndexOf("/") + 1), result] as const
    })
    return { exitCode, files: new Map(files) }
  })
