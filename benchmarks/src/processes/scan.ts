/**
 * Reads every line of every journal below a directory as JSON: what reading costs with nothing around it.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { report } from "../harness/processes.ts"

/** In milliseconds. */
export interface Scanned {
  readonly took: number
  readonly lines: number
}

const start = performance.now()
let lines = 0
for (const entry of readdirSync(process.argv[2]!, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue
  // A database and its logs are not made of lines; they are read, and nothing more.
  if (entry.name.includes(".sqlite")) readFileSync(join(entry.parentPath, entry.name))
  if (!entry.name.endsWith(".jsonl")) continue
  for (const line of readFileSync(join(entry.parentPath, entry.name), "utf8").split("\n")) {
    if (line === "") continue
    if (typeof JSON.parse(line) !== "object") throw new Error("a line is no object")
    lines += 1
  }
}
const scanned: Scanned = { took: performance.now() - start, lines }
await report(scanned)
