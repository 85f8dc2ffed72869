/**
 * What a test has to import, and the names by which it does.
 */
import * as Layer from "effect/Layer"
import type * as Flow from "@waymark/core/Flow"
import type * as Tool from "@waymark/core/Tool"
import { isFlow, isTool } from "../given.ts"
import { CannotGenerate } from "./refusal.ts"

/** Modules by the specifier that the test imports them by. */
export interface Modules {
  readonly [specifier: string]: { readonly [name: string]: unknown }
}

/** Something that is exported, and the name that it has in the test. */
export interface Export<A> {
  readonly specifier: string
  readonly name: string
  readonly local: string
  readonly value: A
}

export interface Exports {
  readonly flow: (id: string) => Export<Flow.Any>
  readonly tool: (name: string) => Export<Tool.Any>
  /** The tools that are exported; those that the run does not call, too. */
  readonly tools: ReadonlyArray<Export<Tool.Any>>
  /** The layers with the handlers of these flows. */
  readonly handlers: (flows: ReadonlyArray<Export<Flow.Any>>) => ReadonlyArray<Export<unknown>>
  /** The import statements for what was asked for. */
  readonly imports: () => ReadonlyArray<string>
}

/** The names that a test has already. */
const taken = ["assert", "it", "Effect", "FakeTools", "Layer", "Runs", "Schema", "TestClock", "TestRuntime"]
const locals = ["runs", "run", "tools", "input", "output"]

const lower = (name: string): string => name.toLowerCase()

/** The layers that can be meant, the likeliest first, by their names. */
const likely = (
  flow: Export<unknown>,
  layers: ReadonlyArray<Export<unknown>>
): ReadonlyArray<Export<unknown>> => {
  if (layers.length <= 1) return layers
  const beside = layers.filter(({ specifier }) => specifier === flow.specifier)
  for (const candidates of [layers, beside]) {
    const named = candidates.filter(({ name }) => lower(name) === `${lower(flow.name)}handlers`)
    const began = candidates.filter(({ name }) => lower(name).startsWith(lower(flow.name)))
    const called = candidates.filter(({ name }) => lower(name).endsWith("handlers"))
    for (const found of [named, began, called]) if (found.length === 1) return found
  }
  return layers
}

export const exportsOf = (
  run: string,
  modules: Modules,
  given: ReadonlyArray<string> | undefined
): Exports => {
  const used = new Set<Export<unknown>>()
  const names = new Set([...taken, ...locals])
  const all: Array<Export<unknown>> = []
  for (const [specifier, module] of Object.entries(modules)) {
    for (const [name, value] of Object.entries(module)) {
      if (all.some((other) => other.value === value)) continue
      const base = name === "default" ? "imported" : name
      let local = base
      for (let i = 2; names.has(local); i++) local = `${base}${i}`
      names.add(local)
      all.push({ specifier, name, local, value })
    }
  }
  const where = Object.keys(modules).join(", ")
  const use = <A>(found: Export<A> | undefined, what: string): Export<A> => {
    if (found === undefined)
      throw new CannotGenerate({ run, detail: `${what} is not exported by any of the modules (${where})` })
    used.add(found)
    return found
  }
  const flows = all.filter((one): one is Export<Flow.Any> => isFlow(one.value))
  const tools = all.filter((one): one is Export<Tool.Any> => isTool(one.value))
  const layers = all.filter(({ value }) => Layer.isLayer(value))

  const handlersOf = (flow: Export<Flow.Any>): Export<unknown> => {
    const found = likely(flow, layers)
    if (found.length === 1) return use(found[0], "")
    const why =
      layers.length === 0
        ? `no layer is exported by any of the modules (${where})`
        : `it may be ${layers.map(({ name }) => name).join(" or ")}: say which, in \`handlers\``
    throw new CannotGenerate({
      run,
      detail: `the layer with the handlers of flow ${flow.value.id} is not known: ${why}`
    })
  }

  return {
    flow: (id) =>
      use(
        flows.find(({ value }) => value.id === id),
        `flow ${id}`
      ),
    tool: (name) =>
      use(
        tools.find(({ value }) => value.name === name),
        `tool ${name}, which the run calls,`
      ),
    tools,
    handlers: (wanted) =>
      given === undefined
        ? [...new Set(wanted.map(handlersOf))]
        : given.map((name) =>
            use(
              all.find((one) => one.name === name),
              `layer ${name}`
            )
          ),
    imports: () => {
      const bySpecifier = new Map<string, Array<Export<unknown>>>()
      for (const one of used) {
        const own = bySpecifier.get(one.specifier)
        if (own === undefined) bySpecifier.set(one.specifier, [one])
        else own.push(one)
      }
      return [...bySpecifier]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([specifier, own]) => {
          const list = own
            .map(({ local, name }) => (local === name ? name : `${name} as ${local}`))
            .sort()
            .join(", ")
          return `import { ${list} } from ${JSON.stringify(specifier)}`
        })
    }
  }
}
