/** Runs the suite inside the extension host of a VS Code. */
import { writeFileSync } from "node:fs"
import Mocha from "mocha"

export const run = async (): Promise<void> => {
  const mocha = new Mocha({ ui: "tdd", color: false, timeout: 60_000, reporter: "spec" })
  // Each module registers its tests when it is loaded.
  mocha.suite.emit("pre-require", globalThis, "", mocha)
  await import("./reading.ts")
  await import("./debugging.ts")
  await import("./replaying.ts")
  await import("./acting.ts")
  const results: Array<{ title: string; status: string; message?: string }> = []
  const failures = await new Promise<number>((done) => {
    mocha
      .run(done)
      .on("pass", (test) => results.push({ title: test.fullTitle(), status: "passed" }))
      .on("fail", (test, error) =>
        results.push({ title: test.fullTitle(), status: "failed", message: String(error.stack ?? error) })
      )
  })
  const file = process.env["WAYMARK_E2E_RESULTS"]
  if (file !== undefined) writeFileSync(file, JSON.stringify(results))
  if (failures > 0) throw new Error(`${failures} tests failed`)
}
