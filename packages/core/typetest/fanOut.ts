/**
 * What the compiler infers from fan-outs, and what it rejects. Type-checked with the tests, never executed.
 */
import * as Flow from "@waymark/core/Flow"
import type * as Next from "@waymark/core/Next"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- it is what makes the comparison exact
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Equal<A, B>): void => undefined

class CheckFailed extends Schema.TaggedError<CheckFailed>()("CheckFailed", { file: Schema.String }) {}
class LineFailed extends Schema.TaggedError<LineFailed>()("LineFailed", { line: Schema.Int }) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}

const File = Schema.Struct({ file: Schema.String, changed: Schema.Date })

// ---------------------------------------------------------------------------------------------------------------
// Accepted
// ---------------------------------------------------------------------------------------------------------------

const Review = Flow.make("review", {
  input: Schema.Struct({ files: Schema.Array(Schema.String) }),
  state: { notes: State.list(Schema.String), tries: State.counter() },
  output: Schema.Int,
  error: Rejected,
  start: "split",
  nodes: {
    split: Node.make({
      to: ["merge"],
      fanOut: { to: ["check", "scan"], join: "merge", policy: "collect", concurrency: 4 }
    }),
    check: Node.make({
      to: ["merge"],
      item: File,
      error: CheckFailed,
      fanOut: { to: ["line"], join: "weigh" }
    }),
    line: Node.make({ to: ["line2", "weigh"], item: Schema.Int, error: LineFailed }),
    line2: Node.make({ to: ["line2", "weigh"], error: Rejected }),
    weigh: Node.make({ to: ["merge"] }),
    scan: Node.make({
      to: ["merge"],
      error: Schema.Union([CheckFailed, LineFailed]),
      onError: { CheckFailed: "merge" }
    }),
    merge: Node.make({
      to: ["split", "end"],
      fanOut: { to: ["retry"], join: "merge", policy: { quorum: 2 } }
    }),
    retry: Node.make({ to: ["merge"], item: Schema.String })
  }
})
type Review = typeof Review
type Channels = Review["state"]

const any: Flow.Any = Review
const anyNode: Node.Any = Review.nodes.check
void [any, anyNode]

same<Review["nodes"]["split"]["fanOut"], Node.FanOut<"check" | "scan", "merge", "collect"> | undefined>(true)
same<Review["nodes"]["check"]["fanOut"], Node.FanOut<"line", "weigh", "failFast"> | undefined>(true)
same<Review["nodes"]["merge"]["fanOut"], Node.FanOut<"retry", "merge", { readonly quorum: 2 }> | undefined>(
  true
)
same<Review["nodes"]["check"]["item"], typeof File>(true)
same<Review["nodes"]["scan"]["item"], undefined>(true)

const reviewLayer = Review.toLayer({
  split: Effect.fn("split")(function* ({ input, next, state }) {
    if (state.tries > 3) return next.to("merge")
    const changed = yield* Effect.succeed(new Date(0))
    const each = next.each(
      input.files.map((file) => ({ file, changed })),
      "check",
      { concurrency: 2, update: { tries: 1 } }
    )
    same<typeof each, Next.NextFanOut<"check", State.Update<Channels>>>(true)
    if (state.tries > 2) return each
    if (state.tries > 1) return next.each([], "check")
    return next.all(["scan", next.branch("check", { file: "a", changed })], { update: { notes: ["split"] } })
  }),
  check: ({ item, next }) => {
    same<typeof item, { readonly file: string; readonly changed: Date }>(true)
    if (item.file === "") return Effect.succeed(next.to("merge"))
    if (item.file === "b") return Effect.fail(new CheckFailed({ file: item.file }))
    return Effect.succeed(next.each([1, 2], "line"))
  },
  line: ({ item, next }) =>
    Effect.succeed(item > 0 ? next.to("weigh", { notes: ["line"] }) : next.to("line2")),
  line2: ({ next }) => Effect.succeed(next.to("line2")),
  weigh: ({ branches, next }) => {
    same<typeof branches, ReadonlyArray<Next.BranchResult<"line", Rejected | LineFailed>>>(true)
    return Effect.succeed(next.to("merge"))
  },
  scan: ({ next }) => Effect.succeed(next.to("merge")),
  merge: ({ branches, next }) => {
    for (const branch of branches) {
      same<typeof branch.index, number>(true)
      same<typeof branch.node, "check" | "scan" | "retry">(true)
      if (branch.status === "failed") {
        // Its own errors, those of the fan-outs inside, and those that any node may fail with.
        same<typeof branch.error, CheckFailed | LineFailed | Rejected | Next.BranchFailed>(true)
      }
    }
    return Effect.succeed(
      branches.length > 2 ? next.all([next.branch("retry", "a")]) : next.end(branches.length)
    )
  },
  retry: ({ item, next }) => Effect.succeed(next.to("merge", { notes: [item] }))
})
same<typeof reviewLayer, Layer.Layer<Flow.Handlers<"review">>>(true)

/** A handler written apart sees the same. */
const check: Flow.Handler<Review, "check"> = ({ item, next }) =>
  Effect.succeed(item.file === "" ? next.each([1], "line") : next.to("merge"))
void check

/** Without an output, an error may lead to the end, but not in a branch. */
Flow.make("mayEnd", {
  input: Schema.Void,
  start: "split",
  nodes: {
    split: Node.make({
      to: ["end"],
      error: Rejected,
      onError: { Rejected: "end" },
      fanOut: { to: ["work"], join: "merge" }
    }),
    work: Node.make({ to: ["merge"], error: Rejected, onError: { Rejected: Node.skip() } }),
    merge: Node.make({ to: ["end"], onDefect: "end" })
  }
})

// ---------------------------------------------------------------------------------------------------------------
// Handlers that are rejected
// ---------------------------------------------------------------------------------------------------------------

const handlers = (of: { readonly [K in keyof Review["nodes"]]?: Flow.Handler<Review, K> }): void => void of
const changed = new Date(0)

handlers({
  // @ts-expect-error an item of another type
  split: ({ next }) => Effect.succeed(next.each([{ file: 1, changed }], "check"))
})
handlers({
  // @ts-expect-error an item without a field
  split: ({ next }) => Effect.succeed(next.each([{ file: "a" }], "check"))
})
handlers({
  // @ts-expect-error an item with an excess key
  split: ({ next }) => Effect.succeed(next.each([{ file: "a", changed, size: 1 }], "check"))
})
handlers({
  // @ts-expect-error an item of another node
  split: ({ next }) => Effect.succeed(next.all([next.branch("check", "a")]))
})
handlers({
  // @ts-expect-error a branch without the item that its node takes
  split: ({ next }) => Effect.succeed(next.all(["check"]))
})
handlers({
  // @ts-expect-error an item for a node that takes none
  split: ({ next }) => Effect.succeed(next.all([next.branch("scan", "a")]))
})
handlers({
  // @ts-expect-error items for a node that takes none
  split: ({ next }) => Effect.succeed(next.each(["a"], "scan"))
})
handlers({
  // @ts-expect-error a node that this fan-out does not name
  split: ({ next }) => Effect.succeed(next.all(["weigh"]))
})
handlers({
  // @ts-expect-error a node that another fan-out names
  split: ({ next }) => Effect.succeed(next.each([1], "line"))
})
handlers({
  // @ts-expect-error a way on that is for branches only
  split: ({ next }) => Effect.succeed(next.to("check"))
})
handlers({
  // @ts-expect-error an update with an excess key
  split: ({ next }) => Effect.succeed(next.all(["scan"], { update: { typo: 1 } }))
})
handlers({
  // @ts-expect-error an option that there is not
  split: ({ next }) => Effect.succeed(next.all(["scan"], { limit: 1 }))
})
handlers({
  // @ts-expect-error branches of a node that has no fan-out
  scan: ({ next }) => Effect.succeed(next.each([1], "line"))
})
handlers({
  // @ts-expect-error what another node's `next` gave
  scan: (_: unknown): Effect.Effect<Next.NextFanOut<"line", {}>> => Effect.die("")
})
handlers({
  // @ts-expect-error the end of the run inside a branch
  line: ({ next }) => Effect.succeed(next.end(1))
})
handlers({
  // @ts-expect-error an item of a node that takes none
  scan: ({ item, next }) => Effect.succeed(next.to("merge", { notes: [item] }))
})
handlers({
  // @ts-expect-error branches at a node where none end
  scan: ({ branches, next }) => Effect.succeed(next.to("merge", { tries: branches.length }))
})
handlers({
  // @ts-expect-error an error of a branch is looked at only if it failed
  merge: ({ branches, next }) => Effect.succeed(next.end(branches.filter((branch) => branch.error).length))
})

// ---------------------------------------------------------------------------------------------------------------
// Definitions that are rejected
// ---------------------------------------------------------------------------------------------------------------

const base = { input: Schema.Void, start: "split" } as const
const end = Node.make({ to: ["end"] })
const split = Node.make({ to: [], fanOut: { to: ["work"], join: "merge" } })

Flow.make("x", {
  ...base,
  nodes: {
    // @ts-expect-error a branch that begins at the end
    split: Node.make({ to: ["end"], fanOut: { to: ["end"], join: "merge" } }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    // @ts-expect-error a join at the end
    split: Node.make({ to: [], fanOut: { to: ["work"], join: "end" } }),
    // @ts-expect-error and so a branch that reaches it
    work: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    // @ts-expect-error the end in a branch
    work: Node.make({ to: ["merge", "end"] }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    work: Node.make({ to: ["second"] }),
    second: Node.make({ to: ["second", "third", "merge"] }),
    // @ts-expect-error the end in a branch, a few nodes on
    third: Node.make({ to: ["second", "end"] }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    work: Node.make({ to: ["merge"], error: Rejected, onError: { Rejected: "second" }, onDefect: "third" }),
    // @ts-expect-error the end in a branch, after an error
    second: Node.make({ to: ["end"] }),
    // @ts-expect-error the end in a branch, after a defect
    third: Node.make({ to: ["merge", "end"] }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    // @ts-expect-error an error that ends the run in a branch
    work: Node.make({ to: ["merge"], error: Rejected, onError: { Rejected: Node.skip("end") } }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    // @ts-expect-error a defect that ends the run in a branch
    work: Node.make({ to: ["merge"], onDefect: "end" }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    work: Node.make({ to: [], fanOut: { to: ["inner"], join: "gather" } }),
    // @ts-expect-error the end in a branch of a branch
    inner: Node.make({ to: ["gather", "end"] }),
    gather: Node.make({ to: ["merge"] }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    work: Node.make({ to: [], fanOut: { to: ["inner"], join: "gather" } }),
    inner: Node.make({ to: ["gather"] }),
    // @ts-expect-error the end in a branch, at a join in it
    gather: Node.make({ to: ["merge", "end"] }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    // @ts-expect-error a node that takes an item among the targets
    split: Node.make({ to: ["work"], fanOut: { to: ["work"], join: "merge" } }),
    work: Node.make({ to: ["merge"], item: Schema.Int }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    // @ts-expect-error a join that takes an item
    split: Node.make({ to: [], fanOut: { to: ["work"], join: "merge" } }),
    // @ts-expect-error and so a target that takes one
    work: Node.make({ to: ["merge"] }),
    merge: Node.make({ to: ["end"], item: Schema.Int })
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    // @ts-expect-error an error route to a node that takes an item
    work: Node.make({ to: ["merge"], item: Schema.Int, error: Rejected, onError: { Rejected: "work" } }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split,
    // @ts-expect-error an error that fails the run
    work: Node.make({ to: ["merge"], error: Rejected }),
    merge: end
  }
})
declare const policy: Node.FanOutPolicy
Flow.make("x", {
  ...base,
  nodes: {
    split: Node.make({
      to: [],
      fanOut: { to: ["work"], join: "merge", policy }
    }),
    // @ts-expect-error an error that may fail the run
    work: Node.make({ to: ["merge"], error: Rejected }),
    merge: end
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split: Node.make({ to: [], fanOut: { to: ["work"], join: "merge", policy: "collect" } }),
    // @ts-expect-error an error of a node that another fan-out runs, which fails
    work: Node.make({ to: ["merge"], error: Rejected }),
    merge: Node.make({ to: ["end"], fanOut: { to: ["work"], join: "merge" } })
  }
})
Flow.make("x", {
  ...base,
  nodes: {
    split: Node.make({ to: [], fanOut: { to: ["work"], join: "merge", policy: "collect" } }),
    work: Node.make({ to: ["merge"], error: Rejected }),
    // @ts-expect-error an error after the join
    merge: Node.make({ to: ["end"], error: Rejected })
  }
})

// @ts-expect-error a policy that there is not
Node.make({ to: [], fanOut: { to: ["work"], join: "merge", policy: "most" } })
// @ts-expect-error a quorum that is not a number
Node.make({ to: [], fanOut: { to: ["work"], join: "merge", policy: { quorum: "all" } } })
// @ts-expect-error a fan-out without a join
Node.make({ to: [], fanOut: { to: ["work"] } })
