import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { Store } from "@waymark/core/Store"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import * as Faults from "@waymark/testing/Faults"
import * as FaultSuite from "@waymark/testing/FaultSuite"
import * as FsStore from "../src/FsStore.ts"
import { Maintenance } from "../src/Maintenance.ts"

/** `npm run faults` tries each fault at every operation; that takes a minute and more. */
const samples = process.env["MODE"] === "exhaustive" ? undefined : 40

const subject = (
  wrap: (fileSystem: Layer.Layer<FileSystem.FileSystem>) => Layer.Layer<FileSystem.FileSystem>
): FaultSuite.Subject<ReturnType<typeof makeMachine>> => ({
  machine: () => makeMachine(),
  reboot: (machine) => machine.reboot(),
  open: (machine) =>
    Effect.gen(function* () {
      const fileSystem = Layer.succeed(FileSystem.FileSystem, yield* FileSystem.FileSystem)
      const context = yield* Layer.build(
        FsStore.layerFileSystem({ directory: "/disk/store", pollInterval: 5, segmentSize: 2000 }).pipe(
          Layer.provide([wrap(fileSystem), machine.spawn().layer, NodeHasher.layer])
        )
      )
      const { compact, writeIndex } = Context.get(context, Maintenance)
      return { store: Context.get(context, Store), tend: { compact, writeIndex } }
    })
})

FaultSuite.suite({ name: "files", ...subject((fileSystem) => fileSystem), samples })

describe("the fault suite", () => {
  it.live("finds a store that does not sync what it says is durable", () =>
    Effect.gen(function* () {
      const lying = subject((fileSystem) =>
        Faults.make([Faults.always(Faults.lostSync)]).fileSystem(fileSystem)
      )
      const { problems } = yield* FaultSuite.explore(lying, "a crash after", 4)
      assert.isAbove(problems.length, 0)
      assert.match(problems.join("\n"), /is gone|was durable up to|stored data is damaged/)
    })
  )
})
