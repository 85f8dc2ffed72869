import { defineConfig, fsStore } from "@waymark/cli"
import { Review, ReviewLayer } from "./src/review.ts"

export default defineConfig({
  store: fsStore({ directory: ".waymark" }),
  flows: [{ flow: Review, handlers: ReviewLayer }]
})
