import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

/** Lets tests import the sources of the workspace's packages, so that they need no build. */
const conditions = ["@waymark/source"]

export const shared = defineConfig({
  resolve: { conditions: [...conditions, "module", "node", "development|production"] },
  ssr: {
    resolve: {
      conditions: [...conditions, "module", "node", "development|production"],
      externalConditions: conditions
    }
  },
  test: {
    include: ["test/**/*.test.ts"],
    sequence: { concurrent: true },
    // To load everything anew for each file takes longer than most files do; no test changes what others share.
    isolate: false,
    // Tests start Node a few hundred times; what it has compiled once need not be compiled again.
    env: {
      NODE_COMPILE_CACHE: fileURLToPath(new URL("./node_modules/.cache/node-compile", import.meta.url))
    },
    // No test measures time: a slow machine is no failure.
    testTimeout: 180_000,
    // The report is what scripts/test-totals.ts adds up; it lies in each project's own folder.
    reporters: ["default", "json"],
    outputFile: { json: "test-results/report.json" }
  }
})
