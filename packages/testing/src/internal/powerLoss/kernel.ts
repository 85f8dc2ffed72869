/**
 * What stands between the programs and the tree: system calls, one at a time, counted, and the power switch.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import { concerns, planOf } from "../faults/fault.ts"
import type { Plan } from "../faults/fault.ts"
import type { Code } from "./errno.ts"
import { isErrno, toPlatformError } from "./errno.ts"
import type { Fate } from "./survival.ts"
import { surviving } from "./survival.ts"
import type { Directory } from "./tree.ts"
import { makeDirectory } from "./tree.ts"

/** A system call that was made. Those that change something, or make it durable, have a number, from 1. */
export interface Operation {
  readonly name:
    | "access"
    | "chmod"
    | "close"
    | "fsync"
    | "link"
    | "mkdir"
    | "open"
    | "read"
    | "readdir"
    | "rename"
    | "rmdir"
    | "stat"
    | "truncate"
    | "unlink"
    | "utimes"
    | "write"
  readonly path: string
  /** The other path, of a link or a rename. */
  readonly to?: string | undefined
  /** How many bytes were to be written. */
  readonly bytes?: number | undefined
  /** Its number among the calls that change something or make it durable. */
  readonly mutation?: number | undefined
  /** The number of the process that made it. */
  readonly process: number
}

/** How a call fails. `partial` bytes of a write arrive before the failure, which the next write then meets. */
export type Failure = Code | { readonly code: Code; readonly partial: number }

/** Nothing goes wrong. */
export const nothing: Plan<Operation> = planOf([])

/** What programs on one machine have in common. */
export interface Kernel {
  root: Directory
  /** Grows with every boot; what began under another one never comes back. */
  boot: number
  powered: boolean
  nextInode: number
  nextProcess: number
  mutations: number
  readonly operations: Array<Operation>
  /** What goes wrong with calls: the power goes, or they fail. */
  plan: Plan<Operation>
  /** Where a write that was cut short meets its error. */
  interrupted: { readonly path: string; readonly code: Code } | undefined
  readonly onCut: Set<() => void>
}

export interface Process {
  readonly number: number
  readonly boot: number
  frozen: boolean
  killed: boolean
  readonly onThaw: Set<() => void>
}

export const make = (root: Directory, nextInode: number): Kernel => ({
  root,
  boot: 0,
  powered: true,
  nextInode,
  nextProcess: 1,
  mutations: 0,
  operations: [],
  plan: nothing,
  interrupted: undefined,
  onCut: new Set()
})

/** An empty disk that has a directory for temporary files. */
export const makeEmpty = (): Kernel => {
  const temporary = makeDirectory(2, 0o755, 0)
  return make(makeDirectory(1, 0o755, 0, new Map([["tmp", temporary]])), 3)
}

export const spawn = (kernel: Kernel): Process => ({
  number: kernel.nextProcess++,
  boot: kernel.boot,
  frozen: false,
  killed: false,
  onThaw: new Set()
})

export const cutPower = (kernel: Kernel): void => {
  kernel.powered = false
  kernel.plan = nothing
  for (const wake of kernel.onCut) wake()
  kernel.onCut.clear()
}

export const reboot = (kernel: Kernel, fate: Fate): void => {
  if (kernel.powered) cutPower(kernel)
  kernel.root = surviving(kernel.root, fate)
  kernel.boot += 1
  kernel.powered = true
  kernel.plan = nothing
  kernel.interrupted = undefined
}

/** Whether a process is there at all: frozen or not. */
export const runs = (kernel: Kernel, process: Process): boolean =>
  kernel.powered && process.boot === kernel.boot && !process.killed

const event = (listeners: Set<() => void>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const listener = () => resume(Effect.void)
    listeners.add(listener)
    return Effect.sync(() => listeners.delete(listener))
  })

export const whenCut = (kernel: Kernel): Effect.Effect<void> =>
  Effect.suspend(() => (kernel.powered ? event(kernel.onCut) : Effect.void))

/** What never comes back can be interrupted, wherever it is called: a test has to get rid of what is dead. */
const gone = Effect.interruptible(Effect.never)

/** Goes on when the process does: at once, when it is thawed, or never. */
const scheduled = <A, E>(kernel: Kernel, process: Process, body: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    if (!runs(kernel, process)) return gone
    if (process.frozen)
      return Effect.andThen(Effect.interruptible(event(process.onThaw)), scheduled(kernel, process, body))
    return body
  })

export interface Request<A> {
  readonly name: Operation["name"]
  /** The method of Effect's `FileSystem` that makes the call, for errors. */
  readonly method: string
  readonly path: string
  readonly to?: string | undefined
  readonly bytes?: number | undefined
  /** Whether it changes something, or makes it durable. */
  readonly mutates: boolean | (() => boolean)
  readonly run: (now: number) => A
  /** Carries out the first bytes of a write. */
  readonly runPartly?: (now: number, bytes: number) => A
  /** What an error does to what waits in the cache. */
  readonly onFailure?: () => void
}

/** The clock of files is coarse: a kernel that ticks 250 times a second does not tell two changes in one tick apart. */
const tick = 4

/** Makes a system call. It is carried out even if its caller is interrupted while it waits for the answer. */
export const call = <A>(
  kernel: Kernel,
  process: Process,
  request: Request<A>
): Effect.Effect<A, PlatformError> => {
  const fail = (code: Code) => Effect.fail(toPlatformError(code, request.method, request.name, request.path))
  const attempt = (run: () => A): Result.Result<A, Code> => {
    try {
      return Result.succeed(run())
    } catch (error) {
      if (isErrno(error)) return Result.fail(error.code)
      throw error
    }
  }
  const answer = (run: () => A): Effect.Effect<A, PlatformError> => {
    const result = attempt(run)
    return Result.isSuccess(result) ? Effect.succeed(result.success) : fail(result.failure)
  }

  const make = (now: number): Effect.Effect<A, PlatformError> => {
    const { name, path, to, bytes } = request
    const mutates = typeof request.mutates === "boolean" ? request.mutates : request.mutates()
    const mutation = mutates ? ++kernel.mutations : undefined
    const operation: Operation = {
      name,
      path,
      process: process.number,
      ...(to === undefined ? undefined : { to }),
      ...(bytes === undefined ? undefined : { bytes }),
      ...(mutation === undefined ? undefined : { mutation })
    }
    kernel.operations.push(operation)

    const fault = kernel.plan.decide(operation, (known) => concerns(known, mutates ? "change" : "read"))
    if (fault?._tag === "CrashAfter") {
      // What the call changes may be on its way to the disk already; only an fsync must not seem to be through.
      if (name !== "fsync") attempt(() => request.run(now))
      cutPower(kernel)
      return gone
    }

    if (name === "write" && kernel.interrupted?.path === path) {
      const { code } = kernel.interrupted
      kernel.interrupted = undefined
      return fail(code)
    }
    if (fault?._tag !== "Fail") return answer(() => request.run(now))
    const { code, partial = 0 } = fault
    if (partial > 0 && request.runPartly !== undefined) {
      const { runPartly } = request
      kernel.interrupted = { path, code }
      return answer(() => runPartly(now, partial))
    }
    request.onFailure?.()
    return fail(code)
  }

  return scheduled(
    kernel,
    process,
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const made = make(Math.floor(now / tick) * tick)
      return Effect.andThen(Effect.yieldNow, scheduled(kernel, process, made))
    })
  )
}
