import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Node from "@waymark/core/Node"
import * as Schema from "effect/Schema"

class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}

/** Definitions that the compiler would not let through. */
const make: (id: string, options: unknown) => Flow.Any = Flow.make as never
const node: (options: unknown) => Node.Any = Node.make as never

const end = node({ to: ["end"] })
const split = (options: object = {}) => node({ to: [], fanOut: { to: ["work"], join: "merge", ...options } })
const work = node({ to: ["merge"] })

const define = (nodes: { readonly [name: string]: Node.Any }, rest: object = {}) =>
  make("x", { input: Schema.Void, start: "split", nodes, ...rest })

const failure = (nodes: { readonly [name: string]: Node.Any }, rest?: object): Flow.DefinitionError => {
  try {
    define(nodes, rest)
  } catch (error) {
    assert.strictEqual((error as Flow.DefinitionError)._tag, "DefinitionError")
    return error as Flow.DefinitionError
  }
  return assert.fail("the definition was accepted")
}

const problems = (nodes: { readonly [name: string]: Node.Any }, rest?: object) =>
  failure(nodes, rest).problems

const message = (nodes: { readonly [name: string]: Node.Any }, rest?: object) =>
  failure(nodes, rest).message.split("\n").slice(1).join("\n")

describe("a fan-out", () => {
  it("fails fast and bounds nothing unless it says so", () => {
    assert.deepStrictEqual(split({ to: ["work", "work"] }).fanOut, {
      to: ["work"],
      join: "merge",
      policy: "failFast",
      concurrency: undefined
    })
    assert.deepStrictEqual(split({ policy: { quorum: 2 }, concurrency: 3 }).fanOut, {
      to: ["work"],
      join: "merge",
      policy: { quorum: 2 },
      concurrency: 3
    })
    assert.isUndefined(end.fanOut)
    assert.isUndefined(end.item)
  })

  it("may be nested, be one of several with the same join, and join at its own node", () => {
    const nested = {
      split: split({ to: ["outer", "work"] }),
      outer: node({ to: ["merge"], fanOut: { to: ["inner"], join: "gather" } }),
      inner: node({ to: ["again"], item: Schema.Int }),
      again: node({ to: ["again", "gather"] }),
      gather: node({ to: ["outer", "merge"] }),
      work,
      merge: end
    }
    const crawl = {
      split: node({ to: ["merge"], fanOut: { to: ["fetch"], join: "merge" } }),
      fetch: node({ to: ["merge"], item: Schema.String }),
      merge: node({ to: ["end"], fanOut: { to: ["fetch"], join: "merge" } })
    }
    for (const nodes of [nested, crawl]) assert.strictEqual(define(nodes).startNode, "split")
  })

  it("needs branches, a policy that can be met, and room for at least one branch", () => {
    const wrong = (options: object) =>
      problems({ split: split(options), work, merge: end }).map((problem) =>
        problem._tag === "InvalidOption" ? `${problem.node ?? ""} ${problem.option}` : problem._tag
      )
    assert.deepStrictEqual(wrong({ to: [] })[0], "split fanOut.to")
    for (const policy of [{ quorum: 0 }, { quorum: 1.5 }, { quorum: "2" }, {}, "sometimes"]) {
      assert.deepStrictEqual(wrong({ policy }), ["split fanOut.policy.quorum"])
    }
    for (const concurrency of [0, -1, 2.5, Number.POSITIVE_INFINITY]) {
      assert.deepStrictEqual(wrong({ concurrency }), ["split fanOut.concurrency"])
    }
    assert.strictEqual(
      message({ split: split({ policy: "sometimes", concurrency: 0 }), work, merge: end }),
      '- node "split": `fanOut.concurrency` is 0; it must be a whole number from 1\n' +
        '- node "split": `fanOut.policy.quorum` is undefined; it must be a whole number from 1'
    )
  })

  it("begins at nodes and joins at one, and none of them is the end", () => {
    const found = problems({ split: split({ to: ["end", "nowhere"], join: "end" }), work, merge: end })
    assert.deepStrictEqual(
      found.map((problem) => (problem._tag === "UnknownTarget" ? `${problem.option} ${problem.target}` : "")),
      ["fanOut.join end", "fanOut.to end", "fanOut.to nowhere"]
    )
  })
})

describe("a node with an item", () => {
  const taking = node({ to: ["merge"], item: Schema.Int })
  const missing = { _tag: "ItemMissing", target: "work" } as const

  it("is named by fan-outs only", () => {
    const nodes = {
      split: node({
        to: ["work"],
        error: SearchFailed,
        onError: { SearchFailed: Node.skip("work") },
        onDefect: "work",
        fanOut: { to: ["work"], join: "work" }
      }),
      work: taking,
      merge: end
    }
    assert.deepStrictEqual(problems(nodes, { start: "work" }), [
      { ...missing, option: "start" },
      { ...missing, node: "split", option: "to" },
      { ...missing, node: "split", option: "onError.SearchFailed" },
      { ...missing, node: "split", option: "onDefect" },
      { ...missing, node: "split", option: "fanOut.join" }
    ])
    assert.strictEqual(
      message({ ...nodes, split: node({ to: ["work"], fanOut: { to: ["work"], join: "merge" } }) }),
      '- node "split": `to` names "work", which takes an item; only `fanOut.to` can name it'
    )
    assert.include(
      message({ split: split(), work: taking, merge: end }, { start: "work" }),
      '- `start` names "work", which takes an item; only `fanOut.to` can name it'
    )
  })

  it("has an item that a journal can hold", () => {
    const item = Schema.Struct({ cause: Schema.Unknown })
    assert.deepStrictEqual(problems({ split: split(), work: node({ to: ["merge"], item }), merge: end }), [
      { _tag: "OpaqueSchema", path: "nodes.work.item.cause", schema: "Unknown" }
    ])
  })

  it("may be handed secrets, which need a codec", () => {
    const flow = (item: Schema.Codec<any, any>) =>
      define({ split: split(), work: node({ to: ["merge"], item }), merge: end })
    assert.isFalse(Flow.requiresCodec(flow(Schema.String)))
    assert.isTrue(Flow.requiresCodec(flow(Schema.Struct({ key: Schema.Redacted(Schema.String) }))))
  })
})

describe("a branch", () => {
  it("does not end the run, neither by choice nor by an error", () => {
    const failing = { error: SearchFailed, onError: { SearchFailed: "end" }, onDefect: "end" }
    const nodes = {
      split: split(),
      work: node({ to: ["later"] }),
      later: node({ to: ["merge", "end"], ...failing }),
      merge: end
    }
    const ends = { _tag: "LeavesBranch", node: "later", target: "end", join: "merge" } as const
    assert.deepStrictEqual(problems(nodes), [
      { ...ends, option: "to" },
      { ...ends, option: "onError.SearchFailed" },
      { ...ends, option: "onDefect" }
    ])
    assert.include(
      message(nodes),
      '- node "later": `to` names "end", but the branches that end at "merge" have nodes of their own until there, ' +
        "and do not end the run"
    )
  })

  it("leaves its fan-out at the join and nowhere else", () => {
    const leaves = (options: object, others: object = {}) =>
      problems({
        split: split(),
        work: node({ to: ["merge"], ...options }),
        merge: node({ to: ["report"] }),
        report: node({ to: ["end"] }),
        ...others
      })
    const leaving = { _tag: "LeavesBranch", node: "work", join: "merge" } as const
    const toReport = { ...leaving, target: "report" }
    assert.deepStrictEqual(leaves({ to: ["report", "merge"] }), [{ ...toReport, option: "to" }])
    assert.deepStrictEqual(
      leaves({ error: SearchFailed, onError: { SearchFailed: Node.tolerate("report") }, onDefect: "split" }),
      [
        { ...toReport, option: "onError.SearchFailed" },
        { ...leaving, target: "split", option: "onDefect" }
      ]
    )
    assert.deepStrictEqual(leaves({ fanOut: { to: ["inner"], join: "report" } }, { inner: work }), [
      { ...toReport, option: "fanOut.join" }
    ])
  })

  it("is not entered from outside", () => {
    const nodes = {
      split: node({ to: ["later"], fanOut: { to: ["work"], join: "merge" } }),
      work: node({ to: ["later"] }),
      later: node({ to: ["merge"] }),
      merge: end
    }
    assert.strictEqual(
      message(nodes),
      '- node "work": `to` names "later", but the branches that end at "merge" have nodes of their own until there, ' +
        "and do not end the run"
    )
  })

  it("begins at another node than the join", () => {
    assert.deepStrictEqual(problems({ split: split({ to: ["work", "merge"] }), work, merge: end }), [
      { _tag: "LeavesBranch", node: "split", option: "fanOut.to", target: "merge", join: "merge" }
    ])
  })

  it("belongs to the fan-outs of one join", () => {
    const nodes = {
      split: split(),
      work,
      merge: node({ to: ["end"], fanOut: { to: ["work"], join: "last" } }),
      last: end
    }
    assert.deepStrictEqual(problems(nodes), [
      { _tag: "LeavesBranch", node: "merge", option: "fanOut.to", target: "work", join: "last" }
    ])
  })

  it("closes its own fan-outs before it ends", () => {
    const nodes = {
      split: split(),
      work: node({ to: [], fanOut: { to: ["inner"], join: "merge" } }),
      inner: node({ to: ["merge"] }),
      merge: end
    }
    assert.deepStrictEqual(problems(nodes), [{ _tag: "JoinsOutside", node: "work", join: "merge" }])
    assert.strictEqual(
      message(nodes),
      '- node "work": `fanOut.join` names "merge", at which branches end that the node itself runs in; join before that'
    )
  })

  it("can reach the join from each of its nodes", () => {
    const nodes = {
      split: split({ to: ["work", "lost"] }),
      work,
      lost: node({ to: ["round"] }),
      round: node({ to: ["lost"], fanOut: { to: ["inner"], join: "lost" } }),
      inner: node({ to: ["inner"] }),
      merge: end
    }
    assert.deepStrictEqual(problems(nodes), [
      { _tag: "DeadEnd", node: "lost", join: "merge" },
      { _tag: "DeadEnd", node: "round", join: "merge" },
      { _tag: "DeadEnd", node: "inner", join: "lost" }
    ])
    assert.include(
      message(nodes),
      '- node "round" cannot reach "merge", at which its branches end; ' +
        'let it, or a node after it, name "merge" as a target'
    )
  })

  it("is left out of what can reach the end without it", () => {
    const nodes = { split: split(), work, merge: node({ to: ["merge"] }) }
    assert.deepStrictEqual(problems(nodes), [
      { _tag: "DeadEnd", node: "split" },
      { _tag: "DeadEnd", node: "merge" }
    ])
  })
})

describe("an error in a branch", () => {
  const failing = { error: SearchFailed }
  const unrouted = (name: string) => ({ _tag: "UnroutedError", node: name, tag: "SearchFailed" }) as const
  const nodes = (outer: Node.FanOutPolicy, inner: Node.FanOutPolicy, merge: object = {}) => ({
    split: split({ policy: outer }),
    work: node({ to: ["merge"], fanOut: { to: ["inner"], join: "gather", policy: inner }, ...failing }),
    inner: node({ to: ["gather"], ...failing }),
    gather: node({ to: ["merge"] }),
    merge: node({ to: ["end"], ...merge })
  })

  it("needs neither a route nor a declaration where a fan-out around it collects failures", () => {
    assert.strictEqual(define(nodes("collect", "failFast")).id, "x")
    assert.strictEqual(define(nodes("collect", "collect")).id, "x")
    assert.deepStrictEqual(problems(nodes("failFast", "collect")), [unrouted("work")])
    assert.deepStrictEqual(problems(nodes({ quorum: 1 }, "failFast")), [unrouted("work"), unrouted("inner")])
    assert.deepStrictEqual(problems(nodes("collect", "collect", failing)), [unrouted("merge")])
    assert.strictEqual(define(nodes("failFast", "failFast"), { error: SearchFailed }).id, "x")
  })

  it("needs one as soon as another fan-out runs the same node and fails", () => {
    const shared = {
      split: split({ policy: "collect" }),
      work: node({ to: ["merge"], ...failing }),
      merge: node({ to: ["end"], fanOut: { to: ["work"], join: "merge" } })
    }
    assert.deepStrictEqual(problems(shared), [unrouted("work")])
  })
})
