/**
 * How the command ends: with which exit code, and what it says of an error.
 */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import { ExitCode } from "../ExitCode.ts"

const codes: { readonly [tag: string]: ExitCode } = {
  ShowHelp: ExitCode.usage,
  BadInput: ExitCode.usage,
  ConfigError: ExitCode.invalid,
  InvalidValue: ExitCode.invalid,
  InvalidCheckpoint: ExitCode.invalid,
  WorkerError: ExitCode.invalid,
  CodecError: ExitCode.invalid,
  NoStore: ExitCode.notFound,
  UnknownName: ExitCode.notFound,
  AmbiguousName: ExitCode.notFound,
  RunNotFound: ExitCode.notFound,
  CommandRefused: ExitCode.refused,
  RunConflict: ExitCode.refused,
  RunInUse: ExitCode.refused,
  CannotGenerate: ExitCode.refused,
  AwaitTimeout: ExitCode.resting,
  RunFailed: ExitCode.failed,
  RunCancelled: ExitCode.cancelled,
  ChainBroken: ExitCode.different,
  StoreError: ExitCode.store,
  WorkerUnreachable: ExitCode.store
}

const has = <K extends string>(value: unknown, key: K): value is { readonly [_ in K]: unknown } =>
  typeof value === "object" && value !== null && key in value

const tagOf = (error: unknown): string | undefined =>
  has(error, "_tag") && typeof error._tag === "string" ? error._tag : undefined

/**
 * What is told of an error, on standard error.
 *
 * - `tag`: which error it is; `reason`: of which kind, if there are several
 * - `stack`: where, if nobody foresaw it
 */
export interface Told {
  readonly tag: string
  readonly reason?: string
  readonly message: string
  readonly exitCode: number
  readonly stack?: string
}

/** How a cause ends the command; nothing is told of what was told already. */
export const endingOf = (cause: Cause.Cause<unknown>): { readonly code: number; readonly told?: Told } => {
  if (Cause.hasInterruptsOnly(cause)) return { code: ExitCode.interrupted }
  const error = Cause.squash(cause)
  const tag = tagOf(error)
  if (tag === "EndWith" && has(error, "code")) return { code: Number(error.code) }
  // What is wrong with the arguments was presented when they were read.
  if (CliError.isCliError(error)) return { code: ExitCode.usage }
  const code = tag === undefined ? undefined : codes[tag]
  const message = has(error, "message") ? String(error.message) : String(error)
  if (code !== undefined && tag !== undefined) {
    const reason = has(error, "reason")
      ? (tagOf(error.reason) ?? (typeof error.reason === "string" ? error.reason : undefined))
      : undefined
    return {
      code,
      told: { tag, ...(reason === undefined ? undefined : { reason }), message, exitCode: code }
    }
  }
  const name = tag ?? (has(error, "name") ? String(error.name) : "Error")
  const told = { tag: name, message, exitCode: ExitCode.unexpected, stack: Cause.pretty(cause) }
  return { code: ExitCode.unexpected, told }
}
