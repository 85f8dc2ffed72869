import { assert, describe, it } from "@effect/vitest"
import * as ChangeHub from "@waymark/core/ChangeHub"
import type { Body } from "@waymark/core/Event"
import * as Catalog from "../src/internal/catalog.ts"
import { formatControl } from "../src/internal/format.ts"
import type { Control } from "../src/internal/format.ts"
import { makeSegment } from "../src/internal/model.ts"
import type { Log } from "./scenario.ts"
import { completed, created, extend, hashOf, noted } from "./scenario.ts"

/** A catalog, and series to take lines in from; each line lies behind the one before it. */
const make = () => {
  const catalog = Catalog.make(ChangeHub.make(), hashOf, (segment) => Catalog.fileName(segment))
  const series = (id: string) => {
    const known = catalog.seriesOf(id)
    const segment = makeSegment(known, 1, 0)
    known.segments.set(1, segment)
    let offset = 0
    const take = (line: string, isControl: boolean): void => {
      assert.isTrue(catalog.take(segment, offset, line.length + 1, line, isControl))
      offset += line.length + 1
    }
    return {
      segment,
      control: (...lines: ReadonlyArray<Control>) => {
        for (const line of lines) take(formatControl(line), true)
      },
      entries: (log: Log, from = 0, to = log.entries.length) => {
        for (const { line } of log.entries.slice(from, to)) take(line, false)
      }
    }
  }
  return { catalog, series }
}

const logOf = (run: string, bodies: ReadonlyArray<Body>, epoch = 0): Log =>
  extend({ run, epoch, entries: [] }, bodies).log

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0]
]

describe("catalog", () => {
  it("tells a run from a deleted one of the same id, in whatever order their series come", () => {
    const old = logOf("run", [created, noted("old"), noted("old"), completed])
    const anew = logOf("run", [created, noted("new")])
    const parts = [
      (store: ReturnType<typeof make>) => store.series("a").entries(old),
      (store: ReturnType<typeof make>) =>
        store.series("b").control({ $: "deleted", run: "run", incarnation: 1 }),
      (store: ReturnType<typeof make>) => {
        const series = store.series("c")
        series.control({ $: "born", run: "run", incarnation: 2 })
        series.entries(anew)
      }
    ]
    for (const order of orders) {
      const store = make()
      for (const part of order) parts[part]!(store)
      store.catalog.notify()
      const run = store.catalog.find("run")!
      assert.strictEqual(run.last, 1)
      assert.strictEqual(run.info?.status, "pending")
      assert.strictEqual(store.catalog.hashOf(run), hashOf(anew.entries[1]!.line))
      assert.strictEqual(run.owner?.id, "c")
      assert.lengthOf([...store.catalog.index.values()], 1)
    }
  })

  it("puts the parts of a journal together, in whatever order their series come", () => {
    const first = logOf("run", [created, noted("one")])
    const second = extend({ ...first, epoch: 1 }, [noted("two"), noted("three")]).log
    const third = extend({ ...second, epoch: 2 }, [noted("four")]).log
    const parts = [
      (store: ReturnType<typeof make>) => store.series("a").entries(first),
      (store: ReturnType<typeof make>) => store.series("b").entries(second, 2),
      (store: ReturnType<typeof make>) => store.series("c").entries(third, 4)
    ]
    for (const order of orders) {
      const store = make()
      for (const part of order) parts[part]!(store)
      const run = store.catalog.find("run")!
      assert.strictEqual(run.last, 4)
      assert.strictEqual(run.epoch, 2)
      assert.deepStrictEqual(run.pointSeqs, [0, 2, 4])
      assert.isUndefined(run.damage)
      assert.isUndefined(run.parked)
    }
  })

  it("does not count what an owner writes after it has handed the run over", () => {
    const { catalog, series } = make()
    const first = logOf("run", [created, noted("one")])
    const late = extend(first, [noted("late")]).log
    const taken = extend({ ...first, epoch: 1 }, [noted("two"), noted("three")]).log
    const a = series("a")
    a.entries(first)
    series("b").entries(taken, 2)
    a.entries(late, 2)
    const run = catalog.find("run")!
    assert.strictEqual(run.last, 3)
    assert.isTrue(Catalog.holds(run, 1, a.segment, first.entries[0]!.line.length + 1))
    assert.isFalse(Catalog.holds(run, 2, a.segment, 1e6))
    assert.isAbove(a.segment.garbage, 0)
  })

  it("notes where entries of one writer are missing, and goes on behind them", () => {
    const { catalog, series } = make()
    const log = logOf("run", [created, noted("one"), noted("two"), completed])
    const a = series("a")
    a.entries(log, 0, 2)
    a.entries(log, 3)
    const run = catalog.find("run")!
    assert.strictEqual(run.damage?.seq, 2)
    assert.strictEqual(run.info?.status, "completed")
  })
})
