import { describe, expect, it } from "vitest"
import { Effect } from "effect"
import * as RunTree from "../src/reading/RunTree.ts"
import type { RunNode } from "../src/reading/RunTree.ts"
import { pageSize } from "../src/reading/Tree.ts"
import type { Source } from "../src/reading/Stores.ts"
import { row, sourceOf, storesOf } from "./rows.ts"

const labels = (tree: RunTree.RunTree, node: RunNode | undefined) =>
  Effect.runSync(tree.children(node)).map((child) => tree.item(child).label)
const nodes = (tree: RunTree.RunTree, node: RunNode | undefined) => Effect.runSync(tree.children(node))
const store = { kind: "store", store: "/s" } as const
const treeOf = (...sources: ReadonlyArray<Source>) => RunTree.make(storesOf(...sources), () => 10_000)

describe("the tree of runs", () => {
  it("shows runs newest first, with children and forks under their runs", () => {
    const tree = treeOf(
      sourceOf("/s", [
        row("first", 1),
        row("second", 2),
        row("child", 3, { parent: "first" }),
        row("fork", 4, { forkOf: { run: "first", seq: 0 } }),
        row("orphan", 5, { parent: "deleted" })
      ])
    )
    expect(labels(tree, undefined)).toEqual(["/s"])
    expect(labels(tree, store)).toEqual(["orphan", "second", "first"])
    const first = nodes(tree, store)[2]!
    expect(tree.item(first).expand).toBe("collapsed")
    expect(labels(tree, first)).toEqual(["fork", "child"])
    const fork = nodes(tree, first)[0]!
    expect(tree.parent(fork)).toEqual(first)
    expect(tree.nodeOf("/s", "fork")).toEqual(fork)
  })

  it("shows a page of 10,000 runs, and the next one when somebody asks", () => {
    const tree = treeOf(
      sourceOf(
        "/s",
        Array.from({ length: 10_000 }, (_, i) => row(`r${i}`, i))
      )
    )
    const page = nodes(tree, store)
    expect(page).toHaveLength(pageSize + 1)
    const more = page.at(-1)!
    expect(tree.item(more)).toMatchObject({ label: "Load more…", description: `${10_000 - pageSize} left` })
    tree.more((more as Extract<RunNode, { kind: "more" }>).list)
    expect(nodes(tree, store)).toHaveLength(2 * pageSize + 1)
    expect(tree.item(nodes(tree, store)[pageSize]!).label).toBe(`r${9_999 - pageSize}`)
  })

  it("filters by words, status and flow, wherever a run stands", () => {
    const tree = treeOf(
      sourceOf("/s", [
        row("first", 1, { status: "failed", error: { kind: "error", tag: "Declined", message: "no money" } }),
        row("fork", 2, { forkOf: { run: "first", seq: 0 } }),
        row("other", 3, { flow: "invoice", tags: ["web"] })
      ])
    )
    tree.setFilter({ text: "MONEY declined" })
    expect(labels(tree, store)).toEqual(["first"])
    tree.setFilter({ statuses: ["pending"] })
    expect(labels(tree, store)).toEqual(["other", "fork"])
    expect(tree.summary()).toBe("2 of 3 runs: pending")
    tree.setFilter({ flow: "invoice", text: "web" })
    expect(labels(tree, store)).toEqual(["other"])
    tree.setFilter({ text: "nothing" })
    expect(labels(tree, store)).toEqual(["No run passes the filter"])
  })

  it("groups by flow and by status", () => {
    const tree = treeOf(
      sourceOf("/s", [row("a", 1), row("b", 2, { flow: "invoice", status: "failed" }), row("c", 3)])
    )
    tree.setGrouping("flow")
    expect(nodes(tree, store).map((node) => [tree.item(node).label, tree.item(node).description])).toEqual([
      ["invoice", "1"],
      ["order", "2"]
    ])
    expect(labels(tree, nodes(tree, store)[1])).toEqual(["c", "a"])
    tree.setGrouping("status")
    expect(labels(tree, store)).toEqual(["failed", "pending"])
    const c = tree.nodeOf("/s", "c")!
    expect(tree.parent(c)).toEqual({ kind: "group", store: "/s", by: "status", value: "pending" })
  })

  it("says of a store that cannot be read why, and shows the others", () => {
    const tree = treeOf(
      sourceOf("/bad", [], { problem: "stored data is damaged", loaded: false }),
      sourceOf("/empty", []),
      sourceOf("/s", [row("a", 1)])
    )
    const [bad, empty, good] = nodes(tree, undefined)
    expect(tree.item(bad!).description).toBe("cannot be read")
    expect(labels(tree, bad)).toEqual(["stored data is damaged"])
    expect(labels(tree, empty)[0]).toMatch(/No run yet/)
    expect(labels(tree, good)).toEqual(["a"])
  })

  it("shows ids that try to be something else as one plain line", () => {
    const tree = treeOf(sourceOf("/s", [row("a\nb\u202ec <img src=x>", 1)]))
    expect(labels(tree, store)).toEqual(["a b c <img src=x>"])
  })
})
