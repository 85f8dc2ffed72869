/**
 * A disk in memory under Effect's `FileSystem`, for finding out what a program leaves behind when the power goes.
 *
 * It keeps apart what the system holds in its cache, which every program sees, and what is on the disk, which is all
 * that is left after a power cut:
 *
 * - what a file holds is on the disk once that file was synced (`File.sync`, which is fsync)
 * - a name (created, linked, renamed, removed) is on the disk once its directory was synced: opened and `File.sync`ed.
 *   A file that was synced is gone if its name was not
 * - what was not synced may be lost, or there, or there in part, each piece for itself: {@link Survival} says which
 * - after a failed fsync the next one succeeds, and what failed is not on the disk: so do real systems
 * - a call is carried out even if its caller is interrupted meanwhile
 *
 * Programs run as processes of one machine; after a power cut their calls never come back, and can only be interrupted.
 * There are no symbolic links, owners or watchers.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Plan from "./internal/faults/fault.ts"
import * as Given from "./internal/given.ts"
import { isCode } from "./internal/powerLoss/errno.ts"
import * as Machine from "./internal/powerLoss/kernel.ts"
import { make as makeFileSystem } from "./internal/powerLoss/fileSystem.ts"
import { fixed, seeded, surviving } from "./internal/powerLoss/survival.ts"

/**
 * A system call that was made. Those that change something, or make it durable, are numbered, from 1.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = Machine.Operation

/**
 * How a system call fails: the system's name of the error, `ENOSPC` or `EIO` among them. With `partial`, so many bytes of a
 * write arrive (the write says so), and the next write to the file meets the error.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure = Machine.Failure

/**
 * What becomes, in a power cut, of what was not synced.
 *
 * `data` is about what files hold: all of it is lost, all is there, or of each file the first `torn` bytes that were
 * written are. `entries` is about names. With a `seed`, each write and each change of a name is there, or lost, or there
 * in part, in no order: writes reach a disk as it pleases.
 *
 * @category models
 * @since 0.1.0
 */
export type Survival =
  | { readonly data: "dropped" | "kept" | { readonly torn: number }; readonly entries: "dropped" | "kept" }
  | { readonly seed: number }

/**
 * Nothing that was not synced is left.
 *
 * @category survivals
 * @since 0.1.0
 */
export const dropped: Survival = { data: "dropped", entries: "dropped" }

/**
 * All is left, as if only the process had died.
 *
 * @category survivals
 * @since 0.1.0
 */
export const kept: Survival = { data: "kept", entries: "kept" }

/**
 * The corners, and a few that are torn or seeded: what to try after each power cut.
 *
 * @category survivals
 * @since 0.1.0
 */
export const survivals: ReadonlyArray<Survival> = [
  dropped,
  kept,
  { data: "dropped", entries: "kept" },
  { data: "kept", entries: "dropped" },
  { data: { torn: 1 }, entries: "kept" },
  { data: { torn: 50 }, entries: "kept" },
  { seed: 1 },
  { seed: 2 },
  { seed: 3 }
]

/**
 * A program on the machine: what it opened is its own, and it can be stopped without stopping others.
 *
 * @category models
 * @since 0.1.0
 */
export interface Process {
  /** The file system as the process sees it. */
  readonly layer: Layer.Layer<FileSystem.FileSystem>
  /** Its calls wait until it is thawed, as after SIGSTOP. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Its calls never come back, as after SIGKILL. What it wrote stays in the cache for the others. */
  readonly kill: () => void
}

/**
 * A disk, and the machine it is in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Disk {
  /** A process of its own for each time that the layer is built. */
  readonly layer: Layer.Layer<FileSystem.FileSystem>
  readonly makeProcess: () => Process

  /** The system calls made so far. */
  readonly operations: ReadonlyArray<Operation>
  /** How many of them changed something or made it durable. */
  readonly mutations: number

  /**
   * Cuts the power at the `k`th such call from now on (1 is the next one). That call has reached the cache, unless it is
   * an fsync, and may survive as others do; it does not come back, and no later one does.
   */
  readonly cutPowerAt: (k: number) => void
  /** Cuts the power now. */
  readonly cutPower: () => void
  /** Waits until the power is cut. */
  readonly whenCut: Effect.Effect<void>
  /**
   * Runs a program until it ends or the power is cut. What is left of it then is interrupted, and nobody waits for its
   * finalizers: they can reach no disk.
   */
  readonly untilCut: <A, E, R>(
    program: Effect.Effect<A, E, R>
  ) => Effect.Effect<Option.Option<Exit.Exit<A, E>>, never, R>
  /**
   * Cuts the power if it is on, and starts the machine again with what is left. Failures that were set up are over;
   * processes from before stay dead.
   */
  readonly reboot: (survival?: Survival) => void
  /** Another disk that holds what would be left of this one, which stays as it is: for trying several survivals. */
  readonly surviving: (survival: Survival) => Disk

  /**
   * Lets the `k`th call from now on that changes something or makes it durable fail, and the `times - 1` calls of that
   * sort after it (1 unless said otherwise).
   */
  readonly failAt: (k: number, failure: Failure, times?: number) => void
  /** Lets each call fail for which `failure` gives an error; `undefined` ends all failures that were set up. */
  readonly failWhen: (failure: ((operation: Operation) => Failure | undefined) | undefined) => void
}

type Seeded = Extract<Survival, { readonly seed: number }>

const aNumber = Given.kind("a number", Number.isFinite)
const what = Given.oneOf("dropped", "kept")
const survivalKinds: Given.Kinds<Exclude<Survival, Seeded>> = {
  data: Given.anyOf(
    what,
    Given.kind(
      "{ torn: a number of bytes }",
      (value) => Given.isObject(value) && Given.aCount(0).fits(value["torn"])
    )
  ),
  entries: what
}

const fateOf = (where: string, survival: Survival) => {
  if (Given.isObject(survival) && "seed" in survival) {
    Given.options<Seeded>(where, survival, { seed: aNumber })
    return seeded(survival.seed)
  }
  Given.options<Exclude<Survival, Seeded>>(where, survival, survivalKinds)
  return fixed(survival.data, survival.entries)
}

const aFailure = Given.kind(
  "the system's name of an error, such as EIO or ENOSPC, or { code, partial }",
  (value) =>
    isCode(value) ||
    (Given.isObject(value) && isCode(value["code"]) && Given.aCount(0).fits(value["partial"]))
)

const makeOn = (kernel: Machine.Kernel): Disk => {
  let cutting: Plan.Rule<Operation> | undefined
  let failing: Plan.Rule<Operation> | undefined
  const plan = (): void => {
    // The power does not wait for a failure.
    kernel.plan = Plan.planOf([cutting, failing].filter((rule) => rule !== undefined))
  }
  const makeProcess = (): Process => {
    const process = Machine.spawn(kernel)
    return {
      layer: Layer.sync(FileSystem.FileSystem, () => makeFileSystem(kernel, process)),
      freeze: () => {
        process.frozen = true
      },
      thaw: () => {
        process.frozen = false
        for (const wake of process.onThaw) wake()
        process.onThaw.clear()
      },
      kill: () => {
        process.killed = true
      }
    }
  }

  return {
    layer: Layer.sync(FileSystem.FileSystem, () => makeFileSystem(kernel, Machine.spawn(kernel))),
    makeProcess,
    operations: kernel.operations,
    get mutations() {
      return kernel.mutations
    },
    cutPowerAt: (k) => {
      Given.argument("PowerLossFileSystem: cutPowerAt", "k", k, Given.aCount(1))
      const first = kernel.mutations + k
      cutting = Plan.eachRule(({ mutation }) =>
        mutation !== undefined && mutation >= first ? { _tag: "CrashAfter" } : undefined
      )
      plan()
    },
    cutPower: () => {
      cutting = undefined
      Machine.cutPower(kernel)
    },
    whenCut: Machine.whenCut(kernel),
    untilCut: (program) =>
      Effect.flatMap(Effect.forkDetach(program), (fiber) =>
        Effect.raceFirst(
          Effect.asSome(Fiber.await(fiber)),
          Effect.map(Machine.whenCut(kernel), () => {
            fiber.interruptUnsafe()
            return Option.none()
          })
        )
      ),
    reboot: (survival = dropped) => {
      const fate = fateOf("PowerLossFileSystem: reboot", survival)
      cutting = undefined
      failing = undefined
      Machine.reboot(kernel, fate)
    },
    surviving: (survival) =>
      makeOn(
        Machine.make(
          surviving(kernel.root, fateOf("PowerLossFileSystem: surviving", survival)),
          kernel.nextInode
        )
      ),
    failAt: (k, failure, times = 1) => {
      Given.refuse("PowerLossFileSystem: failAt", [
        ...Given.problemOf("k", k, Given.aCount(1)),
        ...Given.problemOf("failure", failure, aFailure),
        ...Given.problemOf("times", times, Given.aLimit(1))
      ])
      const first = kernel.mutations + k
      const fault = faultOf(failure)
      failing = Plan.eachRule(({ mutation }) =>
        mutation !== undefined && mutation >= first && mutation < first + times ? fault : undefined
      )
      plan()
    },
    failWhen: (failure) => {
      Given.argument("PowerLossFileSystem: failWhen", "failure", failure, Given.optional(Given.aFunction))
      failing =
        failure === undefined
          ? undefined
          : Plan.eachRule((operation) => {
              const found = failure(operation)
              Given.argument("PowerLossFileSystem: failWhen", "failure()", found, Given.optional(aFailure))
              return found === undefined ? undefined : faultOf(found)
            })
      if (failure === undefined) kernel.interrupted = undefined
      plan()
    }
  }
}

const faultOf = (failure: Failure): Plan.Fault =>
  typeof failure === "string" ? { _tag: "Fail", code: failure } : { _tag: "Fail", ...failure }

/**
 * An empty disk that holds the directories `/` and `/tmp`, switched on. The current directory is `/`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDisk = (): Disk => makeOn(Machine.makeEmpty())
