/**
 * What a run tells while it is executed: outputs, a log, how far it is, what it spends, and what to find it by.
 *
 * All of these are effects for the handlers of nodes. What they tell is written into the run's journal, once: a handler
 * that is executed again, after a crash or for another attempt, tells nothing twice.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Unencodable } from "./Failures.ts"
import { holdSecrets, inspect } from "./internal/definition/inspect.ts"
import { DefinitionError, type Problem, problemsOf } from "./internal/definition/problem.ts"
import { encode } from "./internal/engine/encoded.ts"
import { problemOf } from "./internal/engine/failure.ts"
import * as Progress from "./internal/engine/progress.ts"
import * as Spending from "./internal/engine/spending.ts"
import * as Telling from "./internal/engine/telling.ts"
import { Visit } from "./Visit.ts"

/**
 * - `key`: tells apart what a visit tells twice, by default its value does, and how often the visit told the same before
 *
 * @category models
 * @since 0.1.0
 */
export interface TellOptions {
  readonly key?: string | undefined
}

// -------------------------------------------------------------------------------------------------------------------
// outputs
// -------------------------------------------------------------------------------------------------------------------

/**
 * A kind of output that runs give on their way, besides the one at their end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Output<Name extends string, S extends Schema.Codec<unknown, unknown>> {
  readonly name: Name
  readonly schema: S
  readonly description: string | undefined
  /** Whether its values hold secrets (`Schema.Redacted`), which are stored encrypted only. */
  readonly requiresCodec: boolean
  /** Gives an output; the same as {@link emit}. */
  readonly emit: (value: S["Type"], options?: TellOptions) => Effect.Effect<void, never, Visit>
}

/**
 * Any kind of output.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyOutput {
  readonly name: string
  readonly schema: Schema.Codec<any, any>
  readonly description: string | undefined
  readonly requiresCodec: boolean
}

/**
 * Defines a kind of output.
 *
 * It throws a {@link DefinitionError} if values of its schema could not be stored.
 *
 * @category constructors
 * @since 0.1.0
 */
export const output = <const Name extends string, S extends Schema.Codec<unknown, unknown>>(
  name: Name,
  schema: S,
  options?: { readonly description?: string }
): Output<Name, S> => {
  const problems: Array<Problem> = [...problemsOf(inspect(schema, "schema"))]
  if (name === "") problems.push({ _tag: "InvalidName", what: "output", name, detail: "it is empty" })
  if (problems.length > 0) throw new DefinitionError({ definition: "output", id: name, problems })
  const self: Output<Name, S> = {
    name,
    schema,
    description: options?.description,
    requiresCodec: holdSecrets([schema]),
    emit: (value, emitOptions) => emit(self, value, emitOptions)
  }
  return self
}

const encoded = <S extends Schema.Constraint>(
  schema: S,
  value: S["Type"],
  what: string,
  use: (json: Schema.Json) => Effect.Effect<void>
): Effect.Effect<void> => {
  const exit = encode(schema, value)
  return Exit.isSuccess(exit)
    ? use(exit.value)
    : Effect.die(new Unencodable({ what, detail: problemOf(exit) }))
}

/**
 * Gives an output of the run. It is stored, and listed and streamed (`Runs.outputs`, `Runs.outputStream`) as soon as it
 * is durable.
 *
 * A value that does not fit its schema is an `Unencodable` defect.
 *
 * @category telling
 * @since 0.1.0
 */
export const emit = <S extends Schema.Codec<unknown, unknown>>(
  { name, requiresCodec, schema }: Output<string, S>,
  value: S["Type"],
  options?: TellOptions
): Effect.Effect<void, never, Visit> =>
  Effect.flatMap(Visit, ({ tell }) =>
    tell((telling) => {
      if (requiresCodec && !telling.host.encrypts) {
        return Effect.die(
          new Error(`output ${name} has Redacted values: provide a Codec that encrypts what is stored`)
        )
      }
      return encoded(schema, value, `output ${name}`, (json) => {
        const parts = ["emitted", name, options?.key ?? [json]]
        return Telling.once(telling, "Run.emit", parts, (mark) => [
          { kind: "emitted", ...telling.where, mark, name, value: json }
        ])
      })
    })
  )

// -------------------------------------------------------------------------------------------------------------------
// log, progress
// -------------------------------------------------------------------------------------------------------------------

/**
 * Leaves a line in the run's log, with some data if there is any. `Runs.log` lists it.
 *
 * @category telling
 * @since 0.1.0
 */
export const log = (
  message: string,
  data?: Schema.Json,
  options?: TellOptions
): Effect.Effect<void, never, Visit> =>
  Effect.flatMap(Visit, ({ tell }) =>
    tell((telling) =>
      encoded(Schema.Json, data ?? null, "the data of a log line", (json) => {
        const parts = ["logged", options?.key ?? [message, json]]
        return Telling.once(telling, "Run.log", parts, (mark) => {
          const body = { kind: "logged" as const, ...telling.where, mark, text: message }
          return [data === undefined ? body : { ...body, data: json }]
        })
      })
    )
  )

/**
 * Says how far the visit is: `done` of `total`. The run's row in the index shows the latest report.
 *
 * It may be called as often as one likes: the first report is written, then at most one a second (fewer in visits that
 * take hours), and the last. A visit that is executed again does not fall back behind what was written. The note is
 * stored as it is, even if a `Codec` encrypts.
 *
 * @category telling
 * @since 0.1.0
 */
export const progress = (done: number, total: number, note?: string): Effect.Effect<void, never, Visit> =>
  Effect.flatMap(Visit, ({ tell }) =>
    tell((telling) => Effect.asVoid(Progress.report(telling, done, total, note)))
  )

// -------------------------------------------------------------------------------------------------------------------
// budgets
// -------------------------------------------------------------------------------------------------------------------

/**
 * Something that each run of a flow may spend so much of: tokens, money, requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget<Name extends string> extends AnyBudget {
  readonly name: Name
  /** Spends some; the same as {@link spend}. */
  readonly spend: (amount: number, options?: TellOptions) => Effect.Effect<void, never, Visit>
}

/**
 * Any budget.
 *
 * - `limit`: how much a run may spend
 * - `warnAt`: the share of it after which a `budgetWarned` event is written
 * - `onExceeded`: what happens when more is spent
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyBudget {
  readonly name: string
  readonly limit: number
  readonly warnAt: number | undefined
  readonly onExceeded: "pause" | "fail"
}

/**
 * Defines a budget. A flow names those that its runs have: `Flow.make(id, { budgets: [Tokens], … })`.
 *
 * - `limit`: how much a run may spend, unless it is started with another limit or gets one with `Runs.setLimits`
 * - `warnAt`: the share of the limit (0.8, say) after which a `budgetWarned` event is written
 * - `onExceeded`: `pause` (the default) pauses the run until it has a higher limit and is resumed; `fail` makes the visit
 *   fail with the defect `BudgetExceeded`
 *
 * It throws a {@link DefinitionError} that lists everything that is wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const budget = <const Name extends string>(
  name: Name,
  options: {
    readonly limit: number
    readonly warnAt?: number
    readonly onExceeded?: "pause" | "fail"
  }
): Budget<Name> => {
  const { limit, onExceeded = "pause", warnAt } = options
  const problems: Array<Problem> = []
  const invalid = (option: string, detail: string) => problems.push({ _tag: "InvalidOption", option, detail })
  if (name === "") problems.push({ _tag: "InvalidName", what: "budget", name, detail: "it is empty" })
  if (!(limit >= 0 && limit <= Number.MAX_VALUE)) invalid("limit", `is ${limit}; it must be a number from 0`)
  if (warnAt !== undefined && !(warnAt > 0 && warnAt <= 1)) {
    invalid("warnAt", `is ${warnAt}; it must be a share of \`limit\`: more than 0, and at most 1`)
  }
  if (problems.length > 0) throw new DefinitionError({ definition: "budget", id: name, problems })
  const self: Budget<Name> = {
    name,
    limit,
    warnAt,
    onExceeded,
    spend: (amount, spendOptions) => spend(self, amount, spendOptions)
  }
  return self
}

/**
 * Spends some of a budget of the run. What was spent is spent, even if it is more than there is: then the run pauses, or
 * the visit fails, as the budget says.
 *
 * A budget that the run's flow does not name, and an amount that is no number from 0, are defects.
 *
 * @category telling
 * @since 0.1.0
 */
export const spend = (
  of: AnyBudget,
  amount: number,
  options?: TellOptions
): Effect.Effect<void, never, Visit> =>
  Effect.flatMap(Visit, ({ tell }) => tell((telling) => Spending.spend(telling, of, amount, options?.key)))

// -------------------------------------------------------------------------------------------------------------------
// what to find a run by
// -------------------------------------------------------------------------------------------------------------------

const tagged = (
  what: string,
  body:
    | { readonly tags: ReadonlyArray<string> }
    | { readonly attributes: { readonly [name: string]: string } }
): Effect.Effect<void, never, Visit> =>
  Effect.flatMap(Visit, ({ tell }) =>
    tell((telling) =>
      Effect.asVoid(
        Telling.once(telling, what, ["tagged", body], (mark) => [
          { kind: "tagged", ...telling.where, mark, ...body }
        ])
      )
    )
  )

/**
 * Gives the run tags, besides those that it has. They are stored as they are, even if a `Codec` encrypts.
 *
 * @category telling
 * @since 0.1.0
 */
export const tag = (...tags: ReadonlyArray<string>): Effect.Effect<void, never, Visit> =>
  tagged("Run.tag", { tags })

/**
 * Gives the run attributes, besides those that it has; one of the same name is replaced. They are stored as they are,
 * even if a `Codec` encrypts.
 *
 * @category telling
 * @since 0.1.0
 */
export const attributes = (values: { readonly [name: string]: string }): Effect.Effect<void, never, Visit> =>
  tagged("Run.attributes", { attributes: { ...values } })

export {
  /**
   * An output or a budget is defined in a way that cannot work.
   *
   * @category errors
   * @since 0.1.0
   */
  DefinitionError
}
