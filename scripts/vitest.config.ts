import { defineConfig, mergeConfig } from "vitest/config"
import { shared } from "../vitest.shared.ts"
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      name: "@waymark/scripts",
      // The tests run compilers and programs: one after the other, and not measured by the limit for unit tests.
      sequence: { concurrent: false },
      testTimeout: 300_000
    }
  })
)
