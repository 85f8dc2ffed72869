import { assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..")

const prelude = `
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Tool from "@waymark/core/Tool"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
class SearchFailed extends Schema.TaggedError<SearchFailed>()("SearchFailed", { reason: Schema.String }) {}
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { by: Schema.String }) {}
export const Search = Tool.make("search", { input: { query: Schema.String }, error: SearchFailed })
export const Triage = Flow.make("triage", {
  input: Schema.Void,
  state: { notes: State.list(Schema.String) },
  output: Schema.Struct({ verdict: Schema.String }),
  error: Rejected,
  start: "gather",
  nodes: {
    gather: Node.make({ to: ["decide"], error: SearchFailed, onError: { SearchFailed: "decide" } }),
    decide: Node.make({ to: ["gather", "end"] })
  }
})
export const Wide = Flow.make("wide", {
  input: Schema.Void,
  state: { notes: State.list(Schema.String) },
  start: "split",
  nodes: {
    split: Node.make({ to: [], fanOut: { to: ["check", "scan"], join: "merge" } }),
    check: Node.make({ to: ["merge"], item: Schema.Struct({ file: Schema.String }) }),
    scan: Node.make({ to: ["merge"] }),
    merge: Node.make({ to: ["end"] })
  }
})
export const scan: Flow.Handler<typeof Wide, "scan"> = ({ next }) => Effect.succeed(next.to("merge"))
export const gather: Flow.Handler<typeof Triage, "gather"> = ({ next }) => Effect.succeed(next.to("decide"))
export const decide: Flow.Handler<typeof Triage, "decide"> = ({ next }) => Effect.succeed(next.to("gather"))
`

const flow = (node: string, rest = "") =>
  `Flow.make("x", { input: Schema.Void, start: "a", ${rest} nodes: { a: ${node} } })`

const handler = (node: string, code: string) =>
  `export const wrong: Flow.Handler<typeof Wide, "${node}"> = ({ next }) => Effect.succeed(${code})`

const wide = (work: string, others = "") => `Flow.make("x", { input: Schema.Void, start: "split", nodes: {
  split: Node.make({ to: [], fanOut: { to: ["work"], join: "merge" } }),
  work: ${work}, ${others}
  merge: Node.make({ to: ["end"] })
} })`
const versioned = (migration: string) =>
  `Flow.make("x", { version: 3, input: Schema.Void, start: "a", migrations: [${migration}],
    nodes: { a: Node.make({ to: ["end"] }) } })`

/** A wrong program, and what the compiler has to say about it. */
const programs: Record<string, { readonly code: string; readonly says: ReadonlyArray<string> }> = {
  "a handler goes to an unknown node": {
    code: `Triage.toLayer({ gather: ({ next }) => Effect.succeed(next.to("nowhere")), decide })`,
    says: [`'"nowhere"' is not assignable to parameter of type '"decide"'`]
  },
  "a handler ends a run that its node may not end": {
    code: `Triage.toLayer({ gather: ({ next }) => Effect.succeed(next.end({ verdict: "" })), decide })`,
    says: [`Property 'end' does not exist on type 'NextsTo<"decide"`]
  },
  "an update has an excess key": {
    code: `Triage.toLayer({ gather: ({ next }) => Effect.succeed(next.to("decide", { typo: 1 })), decide })`,
    says: [`'typo' does not exist in type '{ readonly notes?: readonly string[]`]
  },
  "an update has a wrong value": {
    code: `Triage.toLayer({ gather: ({ next }) => Effect.succeed(next.to("decide", { notes: [1] })), decide })`,
    says: [`Type 'number' is not assignable to type 'string'`]
  },
  "the output is missing": {
    code: `Triage.toLayer({ gather, decide: ({ next }) => Effect.succeed(next.end()) })`,
    says: [`Expected 1-2 arguments, but got 0`]
  },
  "a handler fails with an error that nobody declares": {
    code: `Triage.toLayer({ gather, decide: () => Effect.fail(new SearchFailed({ reason: "" })) })`,
    says: [`Property 'by' is missing in type 'SearchFailed' but required in type 'Rejected'`]
  },
  "a handler is missing": {
    code: `Triage.toLayer({ gather })`,
    says: [`Property 'decide' is missing`]
  },
  "a handler is for no node": {
    code: `Triage.toLayer({ gather, decide, extra: decide })`,
    says: [`"\\"extra\\" is not a node of this flow"`]
  },
  "a tool's handler is missing": {
    code: `export const layer: Layer.Layer<Flow.Handlers<"triage">> = Triage.toLayer({
      gather: ({ next }) => Effect.as(Search.call({ query: "" }), next.to("decide")), decide })`,
    says: [`Type 'Handler<"search">' is not assignable to type 'never'`]
  },
  "a flow's handlers are missing": {
    code: `export const run = (layer: Layer.Layer<never, never, Flow.Handlers<"triage">>): Layer.Layer<never> => layer`,
    says: [`Type 'Handlers<"triage">' is not assignable to type 'never'`]
  },
  "a target is not a node": {
    code: flow(`Node.make({ to: ["nowhere", "end"] })`),
    says: [`"\\"nowhere\\" is not a node of this flow"`]
  },
  "an error is neither routed nor declared": {
    code: flow(`Node.make({ to: ["end"], error: SearchFailed })`),
    says: [`"the error SearchFailed is neither routed by this node's onError nor in the flow's error schema"`]
  },
  "only one of two errors is routed": {
    code: flow(
      `Node.make({ to: ["end"], error: Schema.Union([Rejected, SearchFailed]), onError: { Rejected: "a" } })`
    ),
    says: [`"the error SearchFailed is neither routed by this node's onError nor in the flow's error schema"`]
  },
  "an error leads to an unknown node": {
    code: flow(`Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: "nowhere" } })`),
    says: [`"\\"nowhere\\" is not a node of this flow"`]
  },
  "an error leads to the end of a flow with an output": {
    code: flow(
      `Node.make({ to: ["end"], error: SearchFailed, onError: { SearchFailed: "end" } })`,
      "output: Schema.String,"
    ),
    says: [`"an error route to \\"end\\" has no output to give: go on at a node that ends the run"`]
  },
  "a route is for an unknown tag": {
    code: `Node.make({ to: ["a"], error: SearchFailed, onError: { SearchFailed: "a", Nope: "a" } })`,
    says: [`"\\"Nope\\" is not the tag of an error of this node"`]
  },
  "a skip does not say where to": {
    code: `Node.make({ to: ["a", "b"], error: SearchFailed, onError: { SearchFailed: Node.skip() } })`,
    says: [`"say where the run goes on: this node has not exactly one target"`]
  },
  "the start is not a node": {
    code: `Flow.make("x", { input: Schema.Void, start: "z", nodes: { a: Node.make({ to: ["end"] }) } })`,
    says: [`Type '"z"' is not assignable to type '"a"'`]
  },
  "branches begin at a node without a fan-out": {
    code: handler("scan", `next.each([], "check")`),
    says: [`Property 'each' does not exist on type 'NextsTo<"merge"`]
  },
  "an item is wrong": {
    code: handler("split", `next.each([{ file: 1 }], "check")`),
    says: [`Type 'number' is not assignable to type 'string'`]
  },
  "an item is handed to a node that takes none": {
    code: handler("split", `next.all([next.branch("scan", 1)])`),
    says: [`Argument of type '"scan"' is not assignable to parameter of type '"check"'`]
  },
  "a branch lacks the item of its node": {
    code: handler("split", `next.all(["check"])`),
    says: [`Type '"check"' is not assignable to type '"scan" | Branch<"check", { readonly file: string; }>'`]
  },
  "a node that takes no item asks for one": {
    code: `export const item: Flow.Handler<typeof Wide, "scan"> = ({ item, next }) => Effect.succeed(next.to("merge", item))`,
    says: [`Property 'item' does not exist on type 'HandlerContext<void`]
  },
  "a way on is for another node than that of a fan-out": {
    code: handler("split", `next.to("check")`),
    says: [`Argument of type '"check"' is not assignable to parameter of type 'never'`]
  },
  "a branch ends the run": {
    code: wide(`Node.make({ to: ["second"] })`, `second: Node.make({ to: ["merge", "end"] }),`),
    says: [`"this node runs in branches, which end at \\"merge\\" and cannot go to \\"end\\""`]
  },
  "an error in a branch ends the run": {
    code: wide(`Node.make({ to: ["merge"], error: Rejected, onError: { Rejected: "end" } })`),
    says: [`"this node runs in branches, which end at \\"merge\\" and cannot go to \\"end\\""`]
  },
  "a branch begins at an unknown node": {
    code: `Flow.make("x", { input: Schema.Void, start: "a", nodes: {
      a: Node.make({ to: ["end"], fanOut: { to: ["nowhere"], join: "a" } }) } })`,
    says: [`"\\"nowhere\\" is not a node of this flow"`]
  },
  "branches end at the end": {
    code: `Flow.make("x", { input: Schema.Void, start: "a", nodes: {
      a: Node.make({ to: ["b"], fanOut: { to: ["b"], join: "end" } }), b: Node.make({ to: ["b"] }) } })`,
    says: [`"\\"end\\" is not a node of this flow"`]
  },
  "a node with an item is a target": {
    code: wide(`Node.make({ to: ["work", "merge"], item: Schema.Int })`),
    says: [`"\\"work\\" takes an item: only fanOut.to can name it"`]
  },
  "a migration leads elsewhere": {
    code: versioned(`Migration.make({ from: { version: 1 }, to: { version: 2 }, state: () => ({}) })`),
    says: [`"this migration leads to version 2; what follows it is version 3"`]
  },
  "a migration gives other channels than the flow has": {
    code: versioned(
      `Migration.make({ from: { version: 1 }, to: { version: 3, state: { n: State.counter() } }, state: () => ({ n: 1 }) })`
    ),
    says: [`"the channels that this migration leads to are not those of version 3"`]
  },
  "a migration gives a channel that is none": {
    code: `Migration.make({ from: { version: 1 }, to: { version: 2 }, state: () => ({ typo: 1 }) })`,
    says: [`"\\"typo\\" is not a channel of the new version"`]
  },
  "a migration renames a node to one that is none": {
    code: versioned(
      `Migration.make({ from: { version: 1 }, to: { version: 3 }, state: () => ({}), nodes: { x: "b" } })`
    ),
    says: [`"\\"b\\" is not a node of this flow"`]
  },
  "nothing is wrong": {
    code: `Triage.toLayer({ gather, decide })
    Wide.toLayer({
      split: ({ next }) => Effect.succeed(next.all(["scan", next.branch("check", { file: "" })])),
      check: ({ item, next }) => Effect.succeed(next.to("merge", { notes: [item.file] })),
      scan,
      merge: ({ branches, next }) => Effect.succeed(next.end(undefined, { notes: branches.map(({ node }) => node) }))
    })`,
    says: []
  }
}

const names = Object.keys(programs)
const messages = new Map<string, string>()

beforeAll(() => {
  const build = join(root, "build")
  mkdirSync(build, { recursive: true })
  const directory = mkdtempSync(join(build, "messages-"))
  try {
    writeFileSync(join(directory, "prelude.ts"), prelude)
    names.forEach((name, index) => {
      writeFileSync(join(directory, `p${index}.ts`), `${prelude}\n${programs[name]!.code}\n`)
    })
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({
        extends: join(root, "../../tsconfig.base.json"),
        include: ["*.ts"],
        compilerOptions: {
          noEmit: true,
          composite: false,
          incremental: false,
          declaration: false,
          declarationMap: false,
          noUnusedLocals: false,
          // What an editor shows is cut the same way.
          noErrorTruncation: false,
          rootDir: join(root, "../..")
        }
      })
    )
    const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc")
    const { error, stdout } = spawnSync(process.execPath, [tsc, "-p", directory, "--pretty", "false"], {
      encoding: "utf8"
    })
    if (error !== undefined) throw error
    let current: string | undefined
    for (const line of stdout.split("\n")) {
      const start = /([^\\/]+)\.ts\(\d+,\d+\): error/.exec(line)
      if (start !== null) current = names[Number(start[1]!.slice(1))] ?? start[1]!
      if (current !== undefined) messages.set(current, `${messages.get(current) ?? ""}${line}\n`)
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 300_000)

describe("what the compiler says when", () => {
  for (const name of names) {
    it(name, () => {
      const said = messages.get(name) ?? ""
      for (const text of programs[name]!.says) assert.include(said, text)
      if (programs[name]!.says.length === 0) assert.strictEqual(said, "")
    })
  }
  it("concerns the wrong programs and nothing else", () => {
    const wrong = names.filter((name) => programs[name]!.says.length > 0)
    assert.sameMembers([...messages.keys()], wrong)
  })
})
