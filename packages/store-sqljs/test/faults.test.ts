import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { Store } from "@waymark/core/Store"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as FaultSuite from "@waymark/testing/FaultSuite"
import { Maintenance } from "../src/Maintenance.ts"
import { openIn } from "./places.ts"

/** `npm run faults` tries each fault at every operation; that takes a minute and more. */
const samples = process.env["MODE"] === "exhaustive" ? undefined : 40

FaultSuite.suite({
  name: "sql.js on files",
  samples,
  machine: () => makeMachine(),
  reboot: (machine) => machine.reboot(),
  open: (machine) =>
    Effect.gen(function* () {
      const fileSystem = Layer.succeed(FileSystem.FileSystem, yield* FileSystem.FileSystem)
      const place = { file: "/disk/store/runs.sqlite", machine }
      const context = yield* Layer.build(openIn(place, fileSystem, machine.spawn(), { foldBytes: 1e9 }))
      return {
        store: Context.get(context, Store),
        tend: { checkpoint: Context.get(context, Maintenance).checkpoint }
      }
    })
})
