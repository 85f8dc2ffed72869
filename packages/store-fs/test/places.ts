/**
 * The conformance suite's places: a directory of this machine, and one on a disk that can fail and lose power.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { Store } from "@waymark/core/Store"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import type { Harness } from "@waymark/testing/StoreHarness"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import * as FsStore from "../src/FsStore.ts"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import type { Machine, MachineProcess } from "@waymark/store-kit/TestMachine"
import { makeMachine } from "@waymark/store-kit/TestMachine"

/** Short enough for tests, and long enough for a busy machine. */
const leaseMillis = 1000

export interface Place {
  readonly directory: string
  readonly machine: Machine
  readonly processes: Map<string, MachineProcess>
}

/** Opens an instance as a process of its own. */
const open = (place: Place, fileSystem: Layer.Layer<FileSystem.FileSystem>) => {
  const process = place.machine.spawn()
  return FsStore.layerFileSystem({
    leaseTtl: leaseMillis,
    pollInterval: 20,
    directory: place.directory
  }).pipe(
    Layer.tap((context) =>
      Effect.sync(() => {
        place.processes.set(Context.get(context, Store).owner, process)
      })
    ),
    Layer.provide([fileSystem, process.layer]),
    Layer.provide(NodeHasher.layer)
  )
}

/** Lets a process be taken for dead, from one moment to the next. */
const lapse = (place: Place, owner: string) => Effect.sync(() => place.processes.get(owner)!.vanish())

const writeNewerFormat = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    fs.writeFileString(`${directory}/format.json`, `{"store":"waymark","format":99}\n`)
  )

/** A directory that is removed with the scope. */
export const temporaryDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.makeTempDirectoryScoped({ prefix: "waymark-store-" })
}).pipe(Effect.provide(NodeFileSystem.layer))

export const real: Harness<Place> = {
  place: Effect.map(temporaryDirectory, (directory) => ({
    directory,
    machine: makeMachine(),
    processes: new Map()
  })),
  layer: (place) => open(place, NodeFiles.layer),
  capabilities: {
    several: true,
    reopen: true,
    crash: {
      missing: "the power of this machine stays on; the suite runs on a disk whose power can be cut, too"
    },
    lapse,
    failWrites: { missing: "this disk works; the suite runs on one that can be made to fail, too" },
    leaseMillis,
    newerFormat: ({ directory }) => Effect.provide(writeNewerFormat(directory), NodeFileSystem.layer)
  }
}

export interface SimulatedPlace extends Place {
  readonly disk: PowerLossFileSystem.Disk
}

export const simulated: Harness<SimulatedPlace> = {
  place: Effect.sync(() => ({
    directory: "/disk/store",
    disk: PowerLossFileSystem.makeDisk(),
    machine: makeMachine(),
    processes: new Map()
  })),
  layer: (place) => open(place, place.disk.layer),
  capabilities: {
    several: true,
    reopen: true,
    crash: ({ disk, machine }) =>
      Effect.sync(() => {
        machine.reboot()
        disk.reboot()
      }),
    lapse,
    failWrites: ({ disk }, failing) =>
      Effect.sync(() => {
        disk.failWhen(
          failing ? (operation) => (operation.mutation === undefined ? undefined : "ENOSPC") : undefined
        )
      }),
    leaseMillis,
    newerFormat: ({ directory, disk }) => Effect.provide(writeNewerFormat(directory), disk.layer)
  }
}
