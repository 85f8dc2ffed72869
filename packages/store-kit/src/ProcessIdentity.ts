/**
 * Which process this is, and whether another one still runs: what the ownership of runs in a shared directory rests on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Crypto from "node:crypto"
import * as NodeFs from "node:fs"
import * as Os from "node:os"
import * as Schema from "effect/Schema"

/**
 * A process, as it stands in a lease or a lock.
 *
 * - `host`: the machine; `boot`: its run since it was last started
 * - `namespace`: where process ids mean something (containers on one machine have their own)
 * - `pid`, `start`: the process, and when it began in some unit of the system's, since pids are used again
 *
 * @category schemas
 * @since 0.1.0
 */
export const Identity = Schema.Struct({
  host: Schema.String,
  boot: Schema.String,
  namespace: Schema.String,
  pid: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  start: Schema.String
})
/**
 * @category models
 * @since 0.1.0
 */
export type Identity = typeof Identity.Type

/**
 * The process that a store instance counts as. Tests replace it to play several processes, or machines, in one.
 *
 * @category services
 * @since 0.1.0
 */
export class ProcessIdentity extends Context.Service<
  ProcessIdentity,
  {
    readonly self: Identity
    /** Whether a process of this host, boot and namespace still runs; `undefined` if that cannot be told. */
    readonly isAlive: (identity: Identity) => boolean | undefined
    /** A text of lower-case letters and digits that no other process, host or call ever gets. */
    readonly unique: () => string
    /** Milliseconds on a clock that never goes back. It need not go on while the machine sleeps. */
    readonly monotonic: () => number
    /** Waits for so many milliseconds of real time; `"idle"` if that alone must not keep the process running. */
    readonly pause: (millis: number, kind: "busy" | "idle") => Effect.Effect<void>
  }
>()("@waymark/store-kit/ProcessIdentity") {}

const readText = (path: string): string | undefined => {
  try {
    return NodeFs.readFileSync(path, "utf8").trim()
  } catch {
    // The file system /proc is there on Linux only; every caller has something else to go by.
    return undefined
  }
}

/** The 22nd field of /proc/<pid>/stat: when the process started. The second may contain spaces and parentheses. */
const startOf = (pid: number): string | undefined => {
  const stat = readText(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
}

const namespace = (): string => {
  try {
    return NodeFs.readlinkSync("/proc/self/ns/pid")
  } catch {
    // Where there are no namespaces, all processes are in the same one.
    return ""
  }
}

const isAlive = (identity: Identity): boolean | undefined => {
  try {
    process.kill(identity.pid, 0)
  } catch (error) {
    // Not allowed to signal it: then it is there.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false
  }
  const start = startOf(identity.pid)
  if (start === undefined || identity.start === "") return undefined
  return start === identity.start
}

/**
 * The process that this runs in.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<ProcessIdentity> = Layer.sync(ProcessIdentity)(() => ({
  self: {
    host: readText("/etc/machine-id") ?? Os.hostname(),
    boot: readText("/proc/sys/kernel/random/boot_id") ?? "",
    namespace: namespace(),
    pid: process.pid,
    start: startOf(process.pid) ?? ""
  },
  isAlive,
  unique: () => Crypto.randomBytes(5).toString("hex"),
  monotonic: () => performance.now(),
  pause: (millis, kind) =>
    Effect.callback<void>((resume) => {
      const timer = setTimeout(() => resume(Effect.void), millis)
      if (kind === "idle") timer.unref()
      return Effect.sync(() => clearTimeout(timer))
    })
}))
