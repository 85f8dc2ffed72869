// Type-checks every TypeScript block of the documentation and of doc comments, runs those marked `ts run`, compares
// what they print with the `text output` block that follows, and checks that relative links lead somewhere.
import { join, resolve } from "node:path"
import { checkDocs } from "./docs/check.ts"

const root = resolve(import.meta.dirname, "..")
const report = checkDocs({ root, scratch: join(root, "build/docs") })

for (const problem of report.problems) console.error(problem)
console.log(
  `documentation: ${report.files} files, ${report.checked} programs type-checked, ${report.executed} run ` +
    `(${report.compared} outputs compared), ${report.links} links, ${report.problems.length} problems`
)
process.exitCode = report.problems.length === 0 ? 0 : 1
