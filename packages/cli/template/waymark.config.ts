import { defineConfig, fsStore } from "@waymark/cli"
import { Layer } from "effect"
import { CountWordsHandler, Review, ReviewHandlers } from "./src/review.ts"

export default defineConfig({
  store: fsStore({ directory: ".waymark" }),
  flows: [{ flow: Review, handlers: Layer.provide(ReviewHandlers, CountWordsHandler) }]
})
