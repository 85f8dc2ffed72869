import { assert, describe, it } from "@effect/vitest"
import * as Flow from "@waymark/core/Flow"
import * as Migration from "@waymark/core/Migration"
import * as Node from "@waymark/core/Node"
import * as State from "@waymark/core/State"
import * as Schema from "effect/Schema"

/** What is defined here the compiler would reject. */
const make: (id: string, options: unknown) => Flow.Any = Flow.make as never
const migration: (from: unknown, to: unknown, more?: object) => Migration.Any = (from, to, more) =>
  Migration.make({ from, to, state: (old: any) => old, ...more } as never)

const nodes = { a: Node.make({ to: ["end"] }) }
const state = { notes: State.list(Schema.String) }
const flow = (version: number, ...migrations: ReadonlyArray<Migration.Any>) =>
  make("x", { version, input: Schema.String, state, start: "a", nodes, migrations })

const problemsOf = (define: () => unknown): ReadonlyArray<string> => {
  try {
    define()
  } catch (error) {
    assert.isTrue(error instanceof Flow.DefinitionError)
    return (error as Flow.DefinitionError).problems.map((problem) =>
      problem._tag === "InvalidMigration"
        ? `${problem.from} to ${problem.to}: ${problem.detail}`
        : problem._tag
    )
  }
  return []
}

const at = (version: number, rest: object = { state }) => ({ version, ...rest })

describe("the migrations of a flow", () => {
  it("are a chain that ends at the flow's version", () => {
    assert.deepStrictEqual(
      problemsOf(() => flow(1)),
      []
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1), at(2)))),
      []
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(5, migration(at(1), at(3)), migration(at(3), at(5)))),
      []
    )
  })

  it("have no gap, none twice, none out of order, and do not end elsewhere", () => {
    const two = migration(at(1), at(2))
    const three = migration(at(2), at(3))
    const begins = (version: number) =>
      `the one after it begins at version ${version}; let each begin where the one before it ends`
    assert.deepStrictEqual(
      problemsOf(() => flow(4, two, migration(at(3), at(4)))),
      [`1 to 2: ${begins(3)}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(3, two, two, three)),
      [`1 to 2: ${begins(1)}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(3, three, two)),
      [`2 to 3: ${begins(1)}`, "1 to 2: it is the last one, and the flow is at version 3"]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(3, two)),
      ["1 to 2: it is the last one, and the flow is at version 3"]
    )
  })

  it("lead to a later version", () => {
    const later = "it has to lead from a version, counted from 1, to a later one"
    assert.deepStrictEqual(
      problemsOf(() => flow(1, migration(at(1), at(1)))),
      [`1 to 1: ${later}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(1, migration(at(2), at(1)))),
      [`2 to 1: ${later}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(1, migration(at(0), at(1)))),
      [`0 to 1: ${later}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1.5), at(2)))),
      [`1.5 to 2: ${later}`]
    )
  })

  it("agree about the channels, kinds included, and about the input", () => {
    const number = { notes: State.list(Schema.Int) }
    const value = { notes: State.value(Schema.String, "") }
    const same = (version: number) =>
      `channel "notes" is not the same where it ends and where version ${version} begins`
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1), at(2, { state: number })))),
      [`1 to 2: ${same(2)}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1), at(2, { state: value })))),
      [`1 to 2: ${same(2)}`]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1), at(2, {})))),
      [`1 to 2: ${same(2)}`]
    )
    const more = { state: { ...state, more: State.counter() } }
    assert.deepStrictEqual(
      problemsOf(() => flow(3, migration(at(1), at(2, more)), migration(at(2), at(3)))),
      [`1 to 2: channel "more" is not the same where it ends and where version 2 begins`]
    )
    const input = (schema: Schema.Top) => ({ state, input: schema })
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1, input(Schema.Int)), at(2, input(Schema.Int))))),
      ["1 to 2: the input is not the same where it ends and where version 2 begins"]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1, input(Schema.Int)), at(2), { input: String }))),
      ["1 to 2: it changes the input: give the schemas of the input before and after, in `from` and `to`"]
    )
  })

  it("give names to nodes that the flow has, or that a later one renames", () => {
    const first = migration(at(1), at(2), { nodes: { old: "middle" } })
    assert.deepStrictEqual(
      problemsOf(() => flow(3, first, migration(at(2), at(3), { nodes: { middle: "a" } }))),
      []
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(3, first, migration(at(2), at(3)))),
      [`1 to 2: node "old" becomes "middle", which is not a node of the flow; the nodes are a`]
    )
  })

  it("have schemas that a journal can hold", () => {
    const opaque = { state: { ...state, any: State.list(Schema.Any as never) } }
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1, opaque), at(2)))),
      ["OpaqueSchema"]
    )
    assert.deepStrictEqual(
      problemsOf(() => flow(2, migration(at(1, { state, input: Schema.Unknown }), at(2)))),
      ["OpaqueSchema"]
    )
  })

  it("are told in words", () => {
    assert.throws(
      () => flow(3, migration(at(1), at(2))),
      /the migration from version 1 to 2: it is the last one, and the flow is at version 3/
    )
  })

  it("do not change the fingerprint", () => {
    assert.strictEqual(flow(2).fingerprint, flow(2, migration(at(1), at(2))).fingerprint)
  })
})
