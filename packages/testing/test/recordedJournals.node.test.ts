/** What earlier releases have written is read, folded, verified and replayed by this one. */
import { assert, describe, it } from "@effect/vitest"
import { Event } from "@waymark/core/Event"
import * as Runs from "@waymark/core/Runs"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Flow from "@waymark/core/Flow"
import type * as SchemaAST from "effect/SchemaAST"
import * as Stream from "effect/Stream"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { checkPortable, contextOf, fold, plainState, verdicts } from "../fixtures/journals.ts"
import type { Kept } from "../fixtures/journals.ts"
import { recordInto, releases } from "../fixtures/record.ts"
import * as RecordedStore from "../src/RecordedStore.ts"

const root = resolve(import.meta.dirname, "../../..")
const all = await releases()

const readLines = (file: string): ReadonlyArray<string> => readFileSync(file, "utf8").trimEnd().split("\n")

const flowOf = (flows: ReadonlyArray<Flow.Any>, id: string) =>
  flows.find((flow) => flow.id === id) as Flow.Any & { readonly id: "any" }

/** What there is now of what was kept: there may be more to it, in whatever part, since fields are added. */
const partOf = (kept: unknown, now: unknown): unknown => {
  if (typeof kept !== "object" || kept === null || typeof now !== "object" || now === null) return now
  if (Array.isArray(kept) || Array.isArray(now)) {
    if (!Array.isArray(kept) || !Array.isArray(now) || kept.length !== now.length) return now
    return kept.map((item, i) => partOf(item, now[i]))
  }
  return Object.fromEntries(
    Object.entries(kept).map(([field, value]) => [field, partOf(value, now[field as keyof typeof now])])
  )
}

/** What was kept of something is still so. */
const keeps = (kept: object, now: object, what: string): void =>
  assert.deepStrictEqual(partOf(kept, JSON.parse(JSON.stringify(now))), kept, what)

for (const { directory, release, scenarios } of all) {
  describe(`the journals recorded with release ${release}`, () => {
    const names = readdirSync(directory)
      .filter((file) => file.endsWith(".jsonl"))
      .map((file) => file.slice(0, -".jsonl".length))

    it("are those of its scenarios, and name nothing of the machine that recorded them", () => {
      assert.deepStrictEqual(
        [...names].sort(),
        Object.keys(scenarios).sort(),
        "run `npm run record -w @waymark/testing`"
      )
      for (const name of names) {
        for (const kind of ["jsonl", "json"])
          checkPortable(readLines(join(directory, `${name}.${kind}`)), root).pipe((result) =>
            assert.strictEqual(result._tag, "Success", name)
          )
      }
    })

    for (const name of names) {
      const scenario = scenarios[name]!
      const lines = readLines(join(directory, `${name}.jsonl`))
      const kept = JSON.parse(readFileSync(join(directory, `${name}.json`), "utf8")) as {
        readonly [run: string]: Kept
      }

      it.effect(
        `${name}: load, verify, and come to what they came to`,
        () =>
          Effect.gen(function* () {
            const store = yield* RecordedStore.make(lines)
            const runs = yield* Runs.make({ starter: undefined }).pipe(
              Effect.provide(contextOf(scenario.codec, store))
            )
            const { runs: rows } = yield* store.list({ limit: 1000 })
            assert.deepStrictEqual(rows.map(({ run }) => run).sort(), Object.keys(kept).sort())
            for (const [run, expected] of Object.entries(kept)) {
              const { head, info } = yield* store.get(run)
              assert.deepStrictEqual(head, expected.head)
              keeps(expected.info, info, `the row of run ${run}`)
              const verified = yield* Runs.verify(run, { expect: expected.head }).pipe(
                Effect.provideService(Runs.Runs, runs)
              )
              assert.deepInclude(verified, { from: 0, to: head.seq, head: head.hash })
              // From the last snapshot, and from the beginning.
              keeps(expected.state, plainState(yield* runs.stateAt(run)), `the state of run ${run}`)
              const whole = yield* fold(store, scenario.codec, run)
              keeps(expected.state, plainState(whole), `the state of run ${run}, from its beginning`)
              // At every position, or at so many that it does not take long.
              for (let seq = 0; seq <= head.seq; seq += Math.ceil((head.seq + 1) / 40)) {
                assert.deepStrictEqual(
                  plainState(yield* runs.stateAt(run, seq)),
                  plainState(yield* fold(store, scenario.codec, run, seq)),
                  `run ${run} at seq ${seq}`
                )
              }
              const history = yield* runs.history(run, { limit: 1000 })
              assert.isAtLeast(history.length, 1)
              const events = yield* Stream.runCollect(Stream.take(runs.events(run), head.seq + 1))
              assert.strictEqual(events.length, head.seq + 1)
            }
          }),
        300_000
      )

      const { work } = scenario
      if (work === undefined) continue

      it.effect(
        `${name}: are replayed, and judged as they were`,
        () =>
          Effect.gen(function* () {
            const store = yield* RecordedStore.make(lines)
            const runs = yield* Runs.make({ starter: undefined }).pipe(
              Effect.provide(contextOf(scenario.codec, store))
            )
            let replayed = 0
            for (const [run, { info }] of Object.entries(kept)) {
              const report = yield* Runs.replay(Runs.ref(flowOf(work.flows, info.flow), run)).pipe(
                Effect.provideService(Runs.Runs, runs),
                Effect.provide(work.handlers as Layer.Layer<Flow.Handlers<"any">>)
              )
              assert.deepStrictEqual(report.divergences, [])
              replayed += report.visits
              const skipped = report.skipped ?? 0
              // One execution for each visit that is done, and one for each failed attempt or failure besides.
              assert.isAtLeast(
                report.visits + skipped + (info.forkOf === undefined ? 0 : info.steps),
                info.steps
              )
            }
            assert.strictEqual(
              replayed > 0,
              Object.values(kept).some(({ info }) => info.steps > 0)
            )
            const judged = yield* verdicts(scenario, store)
            for (const [run, { verdict }] of Object.entries(kept))
              assert.strictEqual(judged[run], verdict, run)
          }),
        300_000
      )
    }
  })
}

/** What stands in the recorded events under a key, by where it stands: `paused.reason.kind` and the like. */
const literalsIn = (value: unknown, path: string, found: Set<string>): void => {
  if (typeof value !== "object" || value === null) return
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === "string" && ["kind", "type", "status"].includes(key))
      found.add(`${path}${key}=${item}`)
    else literalsIn(item, `${path}${key}.`, found)
  }
}

/** The same of what the schemas of events allow. */
const literalsOf = (ast: SchemaAST.AST, path: string, found: Set<string>): void => {
  if (ast._tag === "Union") for (const type of ast.types) literalsOf(type, path, found)
  if (ast._tag !== "Objects") return
  for (const { name, type } of ast.propertySignatures) {
    const literals = type._tag === "Literal" ? [type] : type._tag === "Union" ? type.types : []
    for (const literal of literals) {
      if (literal._tag === "Literal" && typeof literal.literal === "string") {
        if (["kind", "type", "status"].includes(String(name)))
          found.add(`${path}${String(name)}=${literal.literal}`)
      }
    }
    literalsOf(type, `${path}${String(name)}.`, found)
  }
}

describe("the recorded journals together", () => {
  const events = all.flatMap(({ directory, scenarios }) =>
    Object.keys(scenarios).flatMap((name) =>
      readLines(join(directory, `${name}.jsonl`)).map((line) => JSON.parse(line) as { readonly kind: string })
    )
  )

  it("have an event of every kind, and each kind of failure, pause, wait and outcome that there is", () => {
    const found = new Set<string>()
    for (const event of events) literalsIn(event, `${event.kind}.`, found)
    const kinds = new Set(events.map(({ kind }) => kind))
    const possible = new Set<string>()
    for (const { ast, fields } of Event.members) {
      const kind = fields.kind.literal
      assert.isTrue(kinds.has(kind), `no journal has a ${kind} event: add a scenario, then npm run record`)
      literalsOf(ast, `${kind}.`, possible)
    }
    // Each of them somewhere: a failure is stored alike wherever it stands.
    const bare = (paths: Iterable<string>) =>
      new Set(
        [...paths].map((path) =>
          path
            .split(".")
            .slice(-2)
            .join(".")
            .replace(/^failure\./, "error.")
        )
      )
    const missing = [...bare(possible)].filter((path) => !bare(found).has(path))
    assert.deepStrictEqual(missing, [], "add a scenario that has it, then npm run record")
  })

  it("have runs that ended in every way, and runs that have not", () => {
    const statuses = new Set(
      all.flatMap(({ directory, scenarios }) =>
        Object.keys(scenarios).flatMap((name) =>
          Object.values(
            JSON.parse(readFileSync(join(directory, `${name}.json`), "utf8")) as {
              readonly [run: string]: Kept
            }
          ).map(({ info }) => info.status)
        )
      )
    )
    assert.deepStrictEqual([...statuses].sort(), [
      "cancelled",
      "completed",
      "failed",
      "paused",
      "running",
      "waiting"
    ])
  })
})

describe("the recorder", () => {
  it.effect(
    "writes what is not there, and nothing that is",
    () =>
      Effect.gen(function* () {
        const directory = mkdtempSync(join(tmpdir(), "waymark-record-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
        const { strict, waits } = all[0]!.scenarios
        assert.deepStrictEqual(yield* recordInto(directory, { waits: waits! }, "/nowhere"), ["waits"])
        const before = readFileSync(join(directory, "waits.jsonl"), "utf8")
        const again = { waits: strict!, strict: strict! }
        assert.deepStrictEqual(yield* recordInto(directory, again, "/nowhere"), ["strict"])
        assert.strictEqual(readFileSync(join(directory, "waits.jsonl"), "utf8"), before)
        // The same as in the repository: the recording does not depend on where and when it is made.
        const strictLines = readFileSync(join(directory, "strict.jsonl"), "utf8")
        assert.deepStrictEqual(
          yield* recordInto(mkdtempSync(join(directory, "again-")), { strict: strict! }, "/nowhere"),
          ["strict"]
        )
        assert.include(strictLines, '"durability":"strict"')
        const refused = yield* Effect.flip(
          recordInto(mkdtempSync(join(directory, "refused-")), { waits: waits! }, "paid")
        )
        assert.include(String(refused), "names a file of this machine")
      }).pipe(Effect.scoped),
    300_000
  )
})
