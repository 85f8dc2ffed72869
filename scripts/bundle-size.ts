// Measures what @waymark/core adds to a bundle on top of the parts of effect that it uses, minified and gzipped, and
// fails if it is more than the budget. The aim is 40,000 bytes; the budgets hold what it is by now, so that it only grows on
// purpose.
import { resolve } from "node:path"
import { measure } from "./bundle/size.ts"

const cases = [
  {
    name: "flows that are only defined, as a page imports them for their schemas",
    budget: 11_600,
    entry: {
      text:
        'import { Flow, Node, State, Tool, Wait } from "@waymark/core"\n' +
        "globalThis.core = [Flow.make, Node.make, State.list, State.value, Tool.make, Wait.event]"
    }
  },
  {
    name: "a program with Flow, Worker, Runs and MemoryStore",
    budget: 75_250,
    entry: { file: resolve(import.meta.dirname, "bundle/program.ts") }
  },
  {
    name: "everything @waymark/core exports",
    budget: 91_850,
    entry: { text: 'import * as core from "@waymark/core"\nglobalThis.core = core' }
  }
]

let failed = 0
for (const { budget, entry, name } of cases) {
  const { added, effect, own, total } = await measure(entry)
  // Nothing measured is no success: an empty bundle would pass any budget.
  const verdict =
    added > budget ? `OVER the budget of ${budget}` : added > 0 ? `budget ${budget}` : "NOTHING MEASURED"
  if (added > budget || added <= 0) failed++
  console.log(
    `${name}: ${added} bytes gzipped on top of effect (${verdict}); ${total} in all, ${effect} of them effect; ` +
      `${own} bundled alone`
  )
}
process.exitCode = failed === 0 ? 0 : 1
