// For editors and for `npx vitest` in the root; `npm test` runs each project by itself.
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: { projects: ["{packages,examples}/*/vitest.config.ts", "scripts/vitest.config.ts"] }
})
