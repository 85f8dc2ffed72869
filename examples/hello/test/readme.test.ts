import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8")

it("the README shows this example, line for line", () => {
  assert.include(read("../../../README.md"), `\`\`\`ts run\n${read("../src/main.ts")}\`\`\`\n`)
})
