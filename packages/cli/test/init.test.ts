import { readFileSync } from "node:fs"
import { assert, it } from "vitest"
import { devDependencies } from "../src/internal/init.ts"

it("a new project gets what the test kit works with", () => {
  const { peerDependencies } = JSON.parse(
    readFileSync(new URL("../../testing/package.json", import.meta.url), "utf8")
  ) as { readonly peerDependencies: { readonly [name: string]: string } }
  for (const name of ["vitest", "@effect/vitest"] as const) {
    assert.strictEqual(devDependencies[name], peerDependencies[name])
    // One exact version would keep who has another from installing the kit.
    assert.match(peerDependencies[name]!, /^\^/)
  }
})
