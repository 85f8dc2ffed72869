import { mergeConfig } from "vitest/config"
import { shared } from "../../vitest.shared.ts"

const config = mergeConfig(shared, {
  test: {
    name: "@waymark/store-sqljs in a browser",
    testTimeout: 300_000,
    sequence: { concurrent: false },
    outputFile: { json: "test-results/browser.json" }
  }
})
// Merging would add it to what is there.
config.test.include = ["browser/**/*.test.ts"]
export default config
