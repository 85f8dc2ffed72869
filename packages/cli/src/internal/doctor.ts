/**
 * Whether everything is as it should be, and what to do if it is not.
 */
import { findPackageJSON } from "node:module"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runs from "@waymark/core/Runs"
import { endingOf } from "./ending.ts"
import type * as ConfigFile from "./configFile.ts"
import * as Place from "./place.ts"
import * as Text from "./text.ts"

/** What was looked at. `level` is `note` for what may be as it is. */
export interface Finding {
  readonly name: string
  readonly level: "ok" | "note" | "problem"
  readonly detail: string
}

const finding = (name: string, level: Finding["level"], detail: string): Finding => ({ name, level, detail })

/** A finding from what came of an effect. */
const checked = <A, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  say: (value: A) => Finding | ReadonlyArray<Finding>
): Effect.Effect<ReadonlyArray<Finding>, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isFailure(exit))
      return [finding(name, "problem", endingOf(exit.cause).told?.message ?? "interrupted")]
    const said = say(exit.value)
    return Array.isArray(said) ? (said as ReadonlyArray<Finding>) : [said as Finding]
  })

const node = (): Finding => {
  const { typescript } = process.features as { readonly typescript?: string | false }
  return typescript === undefined || typescript === false
    ? finding("node", "problem", `${process.version} does not read TypeScript; use Node 22.18 or later`)
    : finding("node", "ok", `${process.version}, reads TypeScript`)
}

/** Two copies of a package know nothing of each other's services. */
const copies = ({ file }: ConfigFile.Loaded): ReadonlyArray<Finding> =>
  ["effect", "@waymark/core"].map((name) => {
    const theirs = findPackageJSON(name, pathToFileURL(file))
    const ours = findPackageJSON(name, import.meta.url)
    if (theirs === undefined) return finding(name, "problem", "the project does not have it: npm install it")
    if (theirs === ours) return finding(name, "ok", "one copy")
    return finding(
      name,
      "problem",
      `the project uses ${theirs}, and this command ${ours}: install @waymark/cli in the project and call it with npx`
    )
  })

const handlers = ({ config, file }: ConfigFile.Loaded) =>
  Effect.forEach(config.flows, (entry) =>
    checked(`flow ${entry.flow.id}`, Effect.scoped(Layer.build(Place.handlersOf(file, entry))), () =>
      finding(`flow ${entry.flow.id}`, "ok", `version ${entry.flow.version}, its handlers are there`)
    )
  ).pipe(Effect.map((all) => all.flat()))

const total = Effect.fnUntraced(function* (query: Parameters<Runs.Runs["Service"]["list"]>[0]) {
  const runs = yield* Runs.Runs
  let sum = 0
  let cursor: string | undefined
  do {
    const page = yield* runs.list({
      ...query,
      limit: 1000,
      ...(cursor === undefined ? undefined : { cursor })
    })
    sum += page.runs.length
    cursor = page.cursor
  } while (cursor !== undefined)
  return sum
})

const runsIn = Effect.gen(function* () {
  const all = yield* total({})
  const left = yield* total({ status: ["pending", "running", "cancelling"], unowned: true })
  const failed = yield* total({ status: ["failed"] })
  const waiting = yield* total({ wait: { type: "user" } })
  const found = [finding("runs", "ok", Text.count(all, "run"))]
  if (left > 0)
    found.push(finding("runs", "note", `nobody executes ${left} of them: start \`waymark worker\``))
  if (failed > 0) found.push(finding("runs", "note", `${failed} failed: \`waymark runs --status failed\``))
  if (waiting > 0)
    found.push(
      finding("runs", "note", `${waiting} ask somebody something: \`waymark runs --status waiting\``)
    )
  return found
})

/** Looks at everything; what cannot be looked at is a finding, too. */
export const examine = Effect.gen(function* () {
  const found: Array<Finding> = [node()]
  const place = yield* Effect.exit(Place.chosen)
  if (Exit.isFailure(place)) {
    found.push(finding("project", "problem", endingOf(place.cause).told?.message ?? "interrupted"))
    return found
  }
  const { config, where } = place.value
  if (config === undefined)
    found.push(finding("project", "note", "no configuration: runs can be read and not executed"))
  else {
    found.push(finding("project", "ok", config.file), ...copies(config), ...(yield* handlers(config)))
    const testing = findPackageJSON("@waymark/testing", pathToFileURL(config.file))
    if (testing === undefined) {
      found.push(finding("@waymark/testing", "note", "it is not installed; `waymark test-from` needs it"))
    }
  }
  found.push(
    ...(yield* checked("store", Effect.provide(runsIn, Place.reading), (runs) => [
      finding("store", "ok", where),
      ...runs
    ]))
  )
  return found
})
