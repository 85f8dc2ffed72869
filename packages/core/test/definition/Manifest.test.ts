import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Manifest from "@waymark/core/Manifest"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}

const Triage = Flow.make("triage", {
  version: 2,
  description: "Decides about tickets",
  input: Schema.Struct({ ticket: Schema.String, opened: Schema.Date }),
  state: { notes: State.list(Schema.String), phase: State.value(Schema.Literals(["a", "b"]), "a") },
  output: Schema.Literals(["ship", "hold"]),
  error: Rejected,
  start: "gather",
  nodes: {
    gather: Node.make({
      description: "Finds what is known",
      to: ["decide"],
      error: SearchFailed,
      onError: { SearchFailed: Node.tolerate("decide"), NodeTimeout: Node.skip() },
      onDefect: "decide",
      retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 2 })),
      while: (error) => error.reason !== "",
      timeout: "1 minute",
      fanOut: { to: ["look"], join: "decide", policy: { quorum: 2 }, concurrency: 3 }
    }),
    look: Node.make({
      to: ["decide"],
      item: Schema.Struct({ at: Schema.Date }),
      error: Rejected,
      onError: { Rejected: Node.stop }
    }),
    decide: Node.make({ to: ["gather", "end"] })
  }
})

const string = { type: "string" }

describe("a manifest", () => {
  it("holds nodes, edges, policies and JSON Schemas", () => {
    const { fingerprint, nodes, site, ...rest } = Flow.manifest(Triage)
    assert.strictEqual(fingerprint, Triage.fingerprint)
    assert.deepStrictEqual(rest, {
      format: 1,
      id: "triage",
      version: 2,
      description: "Decides about tickets",
      start: "gather",
      durability: "pipelined",
      maxSteps: 10_000,
      maxRecoveries: 10,
      requiresCodec: false,
      input: {
        type: "object",
        properties: { ticket: string, opened: string },
        required: ["ticket", "opened"],
        additionalProperties: false
      },
      output: { type: "string", enum: ["ship", "hold"] },
      error: {
        $ref: "#/$defs/RejectedEncoded",
        $defs: {
          RejectedEncoded: {
            type: "object",
            properties: { _tag: { ...string, enum: ["Rejected"] }, by: string },
            required: ["_tag", "by"],
            additionalProperties: false
          }
        }
      },
      state: [
        { name: "notes", kind: "list", schema: string },
        { name: "phase", kind: "value", schema: { ...string, enum: ["a", "b"] }, initial: "a" }
      ],
      edges: [
        { from: "gather", to: "decide", kind: "next" },
        { from: "gather", to: "look", kind: "branch" },
        { from: "gather", to: "decide", kind: "join" },
        { from: "gather", to: "decide", kind: "tolerate", tag: "SearchFailed" },
        { from: "gather", to: "decide", kind: "skip", tag: "NodeTimeout" },
        { from: "gather", to: "decide", kind: "route", defect: true },
        { from: "look", to: "decide", kind: "next" },
        { from: "decide", to: "gather", kind: "next" },
        { from: "decide", to: "end", kind: "end" }
      ]
    })
    const [gather, look, decide] = nodes.map(({ error: _error, site: _site, ...node }) => node)
    assert.deepStrictEqual(gather, {
      name: "gather",
      description: "Finds what is known",
      errors: ["SearchFailed"],
      retry: "after 100ms, after 200ms, then no more",
      retryOnly: true,
      timeout: 60_000,
      fanOut: { policy: { quorum: 2 }, concurrency: 3 }
    })
    assert.deepStrictEqual(look, {
      name: "look",
      item: { type: "object", properties: { at: string }, required: ["at"], additionalProperties: false },
      errors: ["Rejected"]
    })
    assert.deepStrictEqual(decide, { name: "decide", errors: [] })
    assert.match(site?.file ?? "", /Manifest\.test\.ts$/)
    const lines = nodes.map((node) => node.site?.line ?? 0)
    assert.deepStrictEqual(
      lines,
      [...lines].sort((a, b) => a - b)
    )
    assert.isAbove(lines[0]!, site!.line)
  })

  it.effect("is plain data with a schema of its own", () =>
    Effect.gen(function* () {
      const manifest = Flow.manifest(Triage)
      const json: unknown = JSON.parse(JSON.stringify(manifest))
      assert.deepStrictEqual(json, manifest)
      const decoded = yield* Schema.decodeUnknownEffect(Manifest.Manifest, { onExcessProperty: "error" })(
        json
      )
      assert.deepStrictEqual(decoded, manifest)
    })
  )

  it("says that secrets need a codec", () => {
    const flow = Flow.make("x", {
      input: Schema.Redacted(Schema.String),
      start: "a",
      nodes: { a: Node.make({ to: ["end"] }) }
    })
    assert.isTrue(Flow.manifest(flow).requiresCodec)
  })

  it("describes retry policies in words", () => {
    const retryOf = (retry: Schedule.Schedule<unknown, any>) =>
      Flow.manifest(
        Flow.make("x", { input: Schema.Void, start: "a", nodes: { a: Node.make({ to: ["end"], retry }) } })
      ).nodes[0]!.retry
    assert.strictEqual(retryOf(Schedule.recurs(0)), "never")
    assert.strictEqual(retryOf(Schedule.recurs(2)), "at once, at once, then no more")
    assert.strictEqual(retryOf(Schedule.spaced("2 seconds")), "after 2s, without end")
    assert.strictEqual(
      retryOf(Schedule.exponential("1 second")),
      "after 1s, after 2s, after 4s, after 8s, after 16s, and so on"
    )
    const jittered = Schedule.spaced("1 second").pipe(Schedule.jittered, Schedule.upTo({ times: 1 }))
    assert.match(retryOf(jittered) ?? "", /^after \S+( \d+ms)? \(random\), then no more$/)
    assert.strictEqual(retryOf(jittered), retryOf(jittered))
    const byError = Schedule.forever.pipe(Schedule.while(({ input }: { input: any }) => input.seconds > 1))
    assert.strictEqual(retryOf(byError), "by a schedule that depends on the error")
  })
})
