import { defineConfig, mergeConfig } from "vitest/config"
import { shared } from "../../vitest.shared.ts"

// Each test starts processes: few at a time, and with time for a machine that has much else to do.
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      name: "@waymark/cli",
      testTimeout: 240_000,
      hookTimeout: 120_000,
      maxConcurrency: 2,
      fileParallelism: false
    }
  })
)
