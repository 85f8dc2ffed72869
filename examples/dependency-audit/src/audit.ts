/**
 * The flow: what the audit does, without how.
 */
import { Flow, Node, State, Tool } from "@waymark/core"
import { Schedule, Schema } from "effect"

/** A package as the lockfile has it: where it lies, below the lockfile's folder. */
export const Locked = Schema.Struct({ path: Schema.String, name: Schema.String, version: Schema.String })
export type Locked = typeof Locked.Type

/** What matters of a package's manifest. */
export const Manifest = Schema.Struct({
  licence: Schema.optionalKey(Schema.String),
  installScripts: Schema.Array(Schema.String),
  deprecated: Schema.optionalKey(Schema.String),
  installed: Schema.Boolean
})
export type Manifest = typeof Manifest.Type

export const Finding = Schema.Struct({
  package: Schema.String,
  severity: Schema.Literals(["info", "warning", "critical"]),
  what: Schema.String
})
export type Finding = typeof Finding.Type

export const Verdict = Schema.Literals(["pass", "review", "reject"])

export class LockfileUnreadable extends Schema.TaggedError<LockfileUnreadable>()("LockfileUnreadable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.path} cannot be audited: ${this.reason}`
  }
}

export class ManifestUnreadable extends Schema.TaggedError<ManifestUnreadable>()("ManifestUnreadable", {
  path: Schema.String,
  reason: Schema.String
}) {}

export const ReadLockfile = Tool.make("read-lockfile", {
  input: { path: Schema.String },
  output: Schema.Array(Locked),
  error: LockfileUnreadable
})

export const ReadManifest = Tool.make("read-manifest", {
  input: { lockfile: Schema.String, path: Schema.String },
  output: Manifest,
  error: ManifestUnreadable,
  retry: Schedule.recurs(2),
  timeout: "10 seconds"
})

export const WriteReport = Tool.make("write-report", {
  input: { path: Schema.String, markdown: Schema.String },
  error: Schema.Never
})

/** How many packages one visit looks at; each visit leaves a checkpoint. */
export const batchSize = 8

export const Audit = Flow.make("dependency-audit", {
  input: { lockfile: Schema.String, report: Schema.String },
  state: {
    packages: State.list(Locked),
    inspected: State.counter(),
    licences: State.record(Schema.Int),
    findings: State.list(Finding),
    verdict: State.optional(Verdict)
  },
  output: Schema.Struct({
    verdict: Verdict,
    packages: Schema.Int,
    findings: Schema.Int,
    report: Schema.String
  }),
  error: LockfileUnreadable,
  start: "read",
  maxSteps: 100_000,
  nodes: {
    read: Node.make({ to: ["inspect", "decide"], error: LockfileUnreadable }),
    inspect: Node.make({ to: ["inspect", "decide"] }),
    decide: Node.make({ to: ["report"] }),
    report: Node.make({ to: ["end"] })
  }
})
