/**
 * Measures one case; started by the main program, which it sends the result to.
 */
import { loadCase } from "./cases/index.ts"
import type { Setting } from "./harness/case.ts"
import { report } from "./harness/processes.ts"

const [name, setting] = process.argv.slice(2)
if (name === undefined || setting === undefined)
  throw new Error("this is started by main.ts, with the name of a case")
const { measure } = await loadCase(name)
await report(await measure(JSON.parse(setting) as Setting))
