// Prints the totals of the last test run, and as the last line `N passed, N failed`. The arguments name checks that
// failed; each counts as a failure. Fails if anything failed, or if not a single test passed.
import { resolve } from "node:path"
import { totalsOf, verdictOf } from "./totals/totals.ts"

const { lines, success } = verdictOf(totalsOf(resolve(import.meta.dirname, "..")), process.argv.slice(2))
for (const line of lines) console.log(line)
process.exitCode = success ? 0 : 1
