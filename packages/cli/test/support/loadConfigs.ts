/** Loads the configurations whose files are named, in this process, and prints what is wrong with each. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import * as ConfigFile from "../../src/internal/configFile.ts"

const problems = await Effect.runPromise(
  Effect.forEach(process.argv.slice(2), (file) =>
    Effect.map(Effect.flip(ConfigFile.load(file)), ({ message, reason }) => ({
      reason: reason._tag,
      message
    }))
  ).pipe(Effect.provide(NodeServices.layer))
)
console.log(JSON.stringify(problems))
