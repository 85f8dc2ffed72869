/**
 * What the compiler infers about waits, and what it rejects. Type-checked with the tests, never executed.
 */
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import type { Visit } from "@waymark/core/Visit"
import * as Wait from "@waymark/core/Wait"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Equal<A, B>): void => undefined

const Approval = Schema.Struct({ by: Schema.String, at: Schema.Date })
interface Approval {
  readonly by: string
  readonly at: Date
}

// ---------------------------------------------------------------------------------------------------------------
// Accepted
// ---------------------------------------------------------------------------------------------------------------

// The value has the schema's type, and only a wait with a timeout can time out.
const approved = Wait.event("approved", { schema: Approval, key: "k" })
same<typeof approved, Wait.Wait<Approval>>(true)
same<Effect.Services<typeof approved>, Visit>(true)
const limited = Wait.event("approved", { schema: Approval, timeout: "1 day" })
same<typeof limited, Wait.Wait<Approval, Wait.WaitTimeout>>(true)

const Verdict = Schema.Literals(["ship", "hold"])
const verdict = Wait.user("verdict", { prompt: "Ship it?", schema: Verdict, choices: ["ship"] })
same<typeof verdict, Wait.Wait<"ship" | "hold">>(true)
const hasty = Wait.user("verdict", { prompt: "Ship it?", schema: Verdict, timeout: 5_000 })
same<typeof hasty, Wait.Wait<"ship" | "hold", Wait.WaitTimeout>>(true)

const job = Wait.job("render-7", Schema.Int)
same<typeof job, Wait.Wait<number, Wait.JobFailed>>(true)
const hastyJob = Wait.job("render-7", Schema.Int, { timeout: "1 hour" })
same<typeof hastyJob, Wait.Wait<number, Wait.JobFailed | Wait.WaitTimeout>>(true)

same<ReturnType<typeof Wait.sleep>, Wait.Wait<void>>(true)
const when: ReadonlyArray<Wait.Wait<void>> = [
  Wait.until(0),
  Wait.until(new Date(0)),
  Wait.until(DateTime.makeUnsafe(0)),
  Wait.sleep("3 days")
]
void when

// A race is the union of its waits, told apart by the winner, and fails as any of them does.
const first = Wait.race({ approved, limited, job, late: Wait.sleep("1 hour") })
type First =
  | { readonly winner: "approved"; readonly value: Approval }
  | { readonly winner: "limited"; readonly value: Approval }
  | { readonly winner: "job"; readonly value: number }
  | { readonly winner: "late"; readonly value: void }
same<typeof first, Effect.Effect<First, Wait.WaitTimeout | Wait.JobFailed, Visit>>(true)
const told = Effect.map(first, (won) => (won.winner === "job" ? won.value.toFixed() : won.winner))
same<Effect.Success<typeof told>, string>(true)
const certain = Wait.race({ approved, late: Wait.sleep("1 hour") })
same<Effect.Error<typeof certain>, never>(true)

const Release = Flow.make("release", {
  input: Schema.Struct({}),
  output: Verdict,
  error: Wait.JobFailed,
  signals: { approved: Approval },
  start: "ask",
  nodes: {
    ask: Node.make({ to: ["ask", "end"], error: Wait.WaitTimeout, onError: { WaitTimeout: "ask" } }),
    render: Node.make({ to: ["end"], error: Wait.JobFailed })
  }
})
// Handlers may wait: it adds nothing to what their layer needs. A timeout is an error of the node like any other.
const releaseLayer = Release.toLayer({
  ask: ({ next }) => Effect.map(hasty, (answer) => next.end(answer)),
  render: ({ next }) => Effect.as(job, next.end("ship"))
})
same<typeof releaseLayer, Layer.Layer<Flow.Handlers<"release">>>(true)

// What a signal carries is checked where the run's flow is known and names it.
const release = Runs.ref(Release, "r")
const approval = { by: "ada", at: new Date() }
const steer = Effect.flatMap(Runs.Runs, (runs) => runs.signal(release, "approved", approval))
void steer
const byId = Effect.flatMap(Runs.Runs, (runs) => runs.signal("r", "approved", { by: "ada" }))
void byId
const undeclared = Effect.flatMap(Runs.Runs, (runs) => runs.signal(release, "remark", "fine"))
void undeclared
declare const anyRun: Runs.RunLike
declare const anyName: string
const generic = Effect.flatMap(Runs.Runs, (runs) => runs.signal(anyRun, anyName, { by: "ada" }))
void generic

// ---------------------------------------------------------------------------------------------------------------
// What is rejected
// ---------------------------------------------------------------------------------------------------------------

// @ts-expect-error a signal that lacks what the flow's schema for it says
void Effect.flatMap(Runs.Runs, (runs) => runs.signal(release, "approved", { by: "ada" }))
// @ts-expect-error a signal as it is stored, and not as the schema says
void Effect.flatMap(Runs.Runs, (runs) => runs.signal(release, "approved", { by: "ada", at: "2026-01-01" }))
// @ts-expect-error no schema says what the payload is
Wait.event("approved", {})
// @ts-expect-error the same
Wait.user("verdict", { prompt: "Ship it?" })
// @ts-expect-error a question without its text
Wait.user("verdict", { schema: Verdict })
// @ts-expect-error a choice that is no answer
Wait.user("verdict", { prompt: "Ship it?", schema: Verdict, choices: ["ship", "sink"] })
// @ts-expect-error a timeout that is no duration
Wait.event("approved", { schema: Approval, timeout: "a while" })
declare const needsService: Schema.Codec<string, string, "service">
// @ts-expect-error a schema that needs services to decode
Wait.event("approved", { schema: needsService })
// @ts-expect-error an effect that is no wait cannot be found again
Wait.race({ approved, late: Effect.sleep("1 hour") })
// @ts-expect-error what is mapped is no wait any more
Wait.race({ approved: Effect.map(approved, ({ by }) => by) })
// @ts-expect-error nothing tells that it can time out
same<Effect.Error<typeof approved>, Wait.WaitTimeout>(true)
Effect.map(
  first,
  (won) =>
    // @ts-expect-error before the winner is known
    won.value.by
)
Release.toLayer({
  ask: ({ next }) => Effect.succeed(next.to("ask")),
  // @ts-expect-error neither the node nor the flow says that it may time out
  render: ({ next }) => Effect.as(limited, next.end("ship"))
})
// @ts-expect-error a wait outside of a node's handler
void Effect.runPromise(approved)
