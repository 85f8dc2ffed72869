/**
 * The conformance suite's places.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import initSqlJs from "sql.js"
import type { Harness } from "@waymark/testing/StoreHarness"
import type { StoreError } from "@waymark/core/Store"
import { failure } from "@waymark/store-kit/Failures"
import * as NodeFiles from "@waymark/store-kit/NodeFiles"
import * as NodeHasher from "@waymark/store-kit/NodeHasher"
import { makeMachine } from "@waymark/store-kit/TestMachine"
import type { Machine, MachineProcess } from "@waymark/store-kit/TestMachine"
import * as PowerLossFileSystem from "@waymark/testing/PowerLossFileSystem"
import * as MemoryPersistence from "../src/MemoryPersistence.ts"
import * as NodePersistence from "../src/NodePersistence.ts"
import { Persistence } from "../src/Persistence.ts"
import { stamped } from "../src/internal/checkedFile.ts"
import * as SqljsStore from "../src/SqljsStore.ts"

const one = { missing: "one process at a time writes; test/following.test.ts has the others, which read" }

export interface MemoryPlace {
  readonly disk: MemoryPersistence.Disk
  /** Counts the power cuts: what was begun before the last one never comes back. */
  cuts: number
  failing: boolean
}

/** A disk in memory whose power can be cut, and which can be full. */
const fragile = (place: MemoryPlace): Persistence["Service"] => {
  const { cuts } = place
  const memory = MemoryPersistence.make(place.disk)
  const live = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (place.cuts === cuts ? work : Effect.never))
  const writing = (work: Effect.Effect<void, StoreError>): Effect.Effect<void, StoreError> =>
    Effect.andThen(
      Effect.yieldNow,
      live(
        Effect.suspend((): Effect.Effect<void, StoreError> =>
          place.failing ? failure({ _tag: "NoSpace", path: "memory" }) : work
        )
      )
    )
  return {
    ...memory,
    readDatabase: live(memory.readDatabase),
    fold: (snapshot) => writing(memory.fold(snapshot)),
    listLogs: live(memory.listLogs),
    readLog: (log, from) => live(memory.readLog(log, from)),
    writeLog: (log, at, bytes) => writing(memory.writeLog(log, at, bytes)),
    removeLog: (log) => writing(memory.removeLog(log))
  }
}

/** The same database, as if a newer version had written it. */
const inNewerFormat = (bytes: Uint8Array) =>
  Effect.promise(async () => {
    const database = new (await initSqlJs()).Database(bytes)
    database.run("UPDATE store SET value = 99 WHERE key = 'format'")
    return stamped(database.export())
  })

const writeNewerFormat = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.writeFile(file, yield* inNewerFormat(yield* fs.readFile(file)))
  })

export const inMemory: Harness<MemoryPlace> = {
  place: Effect.sync(() => ({ disk: MemoryPersistence.makeDisk(), cuts: 0, failing: false })),
  layer: (place) =>
    SqljsStore.layer({ foldBytes: 20_000 }).pipe(
      Layer.provide(Layer.sync(Persistence)(() => Persistence.of(fragile(place))))
    ),
  capabilities: {
    several: one,
    reopen: true,
    crash: (place) =>
      Effect.sync(() => {
        place.cuts += 1
        place.disk.lockedBy = undefined
      }),
    lapse: one,
    failWrites: (place, failing) =>
      Effect.sync(() => {
        place.failing = failing
      }),
    leaseMillis: { missing: "leases do not run out: they are those of the one process that writes" },
    newerFormat: ({ disk }) =>
      Effect.map(inNewerFormat(disk.database!), (bytes) => {
        disk.database = bytes
      })
  }
}

/** A directory that is removed with the scope. */
export const temporaryDirectory = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return yield* fs.makeTempDirectoryScoped({ prefix: "waymark-sqljs-" })
}).pipe(Effect.provide(NodeFileSystem.layer))

export interface FilePlace {
  readonly file: string
  readonly machine: Machine
}

/** Opens an instance as a process of its own. */
export const openIn = (
  { file }: FilePlace,
  fileSystem: Layer.Layer<FileSystem.FileSystem>,
  process: MachineProcess,
  options: SqljsStore.Options = {}
) =>
  SqljsStore.layer({ foldBytes: 20_000, pollInterval: 20, ...options }).pipe(
    // Small as they are, they are changed in place, as larger ones are.
    Layer.provide(NodePersistence.layerFileSystem({ file, replaceUpTo: 0 })),
    Layer.provide([fileSystem, process.layer]),
    Layer.provide(NodeHasher.layer)
  )

export const onFiles: Harness<FilePlace> = {
  place: Effect.map(temporaryDirectory, (directory) => ({
    file: `${directory}/runs.sqlite`,
    machine: makeMachine()
  })),
  layer: (place) => openIn(place, NodeFiles.layer, place.machine.spawn()),
  capabilities: {
    several: one,
    reopen: true,
    crash: {
      missing: "the power of this machine stays on; the suite runs on a disk whose power can be cut, too"
    },
    lapse: one,
    failWrites: { missing: "this disk works; the suite runs on one that can be made to fail, too" },
    leaseMillis: inMemory.capabilities.leaseMillis,
    newerFormat: ({ file }) => Effect.provide(writeNewerFormat(file), NodeFileSystem.layer)
  }
}

export interface SimulatedPlace extends FilePlace {
  readonly disk: PowerLossFileSystem.Disk
}

export const simulated: Harness<SimulatedPlace> = {
  place: Effect.sync(() => ({
    file: "/disk/store/runs.sqlite",
    machine: makeMachine(),
    disk: PowerLossFileSystem.makeDisk()
  })),
  layer: (place) => openIn(place, place.disk.layer, place.machine.spawn()),
  capabilities: {
    several: one,
    reopen: true,
    crash: ({ disk, machine }) =>
      Effect.sync(() => {
        machine.reboot()
        disk.reboot()
      }),
    lapse: one,
    failWrites: ({ disk }, failing) =>
      Effect.sync(() => {
        disk.failWhen(
          failing ? (operation) => (operation.mutation === undefined ? undefined : "ENOSPC") : undefined
        )
      }),
    leaseMillis: inMemory.capabilities.leaseMillis,
    newerFormat: ({ disk, file }) => Effect.provide(writeNewerFormat(file), disk.layer)
  }
}
