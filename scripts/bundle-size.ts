// Measures what @waymark/core adds to a bundle on top of the parts of effect that it uses, minified and gzipped, and
// fails if it is more than the budget.
import { cases } from "./bundle/cases.ts"
import { measure } from "./bundle/size.ts"

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
