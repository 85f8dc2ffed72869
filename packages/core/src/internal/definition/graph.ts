/**
 * Where the paths of a flow lead.
 *
 * Each node belongs to one region: the main line, or the branches that end at one join. A branch leaves its region at
 * that join and nowhere else, so that it is always known what runs apart from what, and where it comes together.
 */
import type * as Flow from "../../Flow.ts"
import type * as Node from "../../Node.ts"
import type { Problem } from "./problem.ts"

interface Way {
  readonly option: string
  readonly to: string
}

/** The nodes that a node's policies name, with the option that names them. */
const routesOf = (node: Node.Any): ReadonlyArray<Way> => {
  const routes: Array<Way> = []
  const add = (option: string, route: Node.OnError | undefined): void => {
    if (typeof route === "string") routes.push({ option, to: route })
    else if (route !== undefined && route.status !== "stop") routes.push({ option, to: route.to })
  }
  for (const [tag, route] of Object.entries(node.onError)) add(`onError.${tag}`, route)
  add("onDefect", node.onDefect)
  return routes
}

/** The ways on from a node that stay on its line: not those of the branches that it begins. */
const waysOf = (node: Node.Any): ReadonlyArray<Way> => [
  ...node.to.map((to) => ({ option: "to", to })),
  ...routesOf(node)
]

const joinOf = ({ fanOut }: Node.Any): ReadonlyArray<Way> =>
  fanOut === undefined ? [] : [{ option: "fanOut.join", to: fanOut.join }]

const branchesOf = ({ fanOut }: Node.Any): ReadonlyArray<Way> =>
  fanOut?.to.map((to) => ({ option: "fanOut.to", to })) ?? []

const reach = (from: string, after: (name: string) => Iterable<string>): Set<string> => {
  const reached = new Set<string>()
  const open = [from]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (reached.has(name)) continue
    reached.add(name)
    open.push(...after(name))
  }
  return reached
}

const follow = (flow: Flow.Any, ways: (node: Node.Any) => ReadonlyArray<Way>): Set<string> =>
  reach(flow.start, (name) => {
    const node = Object.hasOwn(flow.nodes, name) ? flow.nodes[name] : undefined
    return node === undefined ? [] : ways(node).map(({ to }) => to)
  })

const everyWay = (node: Node.Any) => [...waysOf(node), ...branchesOf(node), ...joinOf(node)]

/** The nodes whose errors fail a branch at most, since a fan-out around them collects the failures. */
export const collected = (flow: Flow.Any): ReadonlySet<string> => {
  const found = follow(flow, everyWay)
  const failing = follow(flow, (node) =>
    node.fanOut?.policy === "collect" ? [...waysOf(node), ...joinOf(node)] : everyWay(node)
  )
  for (const name of failing) found.delete(name)
  return found
}

const checkTargets = (flow: Flow.Any, hasOutput: boolean): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const nodes = Object.keys(flow.nodes)
  const takesItem = (name: string) => flow.nodes[name]!.item !== undefined
  if (!Object.hasOwn(flow.nodes, flow.start)) {
    problems.push({ _tag: "UnknownStart", start: flow.start, nodes })
  } else if (takesItem(flow.start)) {
    problems.push({ _tag: "ItemMissing", option: "start", target: flow.start })
  }
  for (const [name, node] of Object.entries(flow.nodes)) {
    for (const { option, to: target } of everyWay(node)) {
      const at = { node: name, option }
      const inFanOut = option.startsWith("fanOut")
      if (target === "" && option !== "to" && !inFanOut) {
        problems.push({ _tag: "AmbiguousTarget", ...at, targets: node.to })
      } else if (target === "end" && !inFanOut) {
        if (option !== "to" && hasOutput) problems.push({ _tag: "EndWithoutOutput", ...at })
      } else if (!Object.hasOwn(flow.nodes, target)) {
        problems.push({ _tag: "UnknownTarget", ...at, target, nodes })
      } else if (option !== "fanOut.to" && takesItem(target)) {
        problems.push({ _tag: "ItemMissing", ...at, target })
      }
    }
    if (node.to.length === 0 && node.fanOut === undefined) problems.push({ _tag: "NoTarget", node: name })
  }
  return problems
}

/** The region of each node that can be reached: the join at which its branches end, `""` on the main line. */
const divide = (
  flow: Flow.Any
): { readonly regions: ReadonlyMap<string, string>; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const regions = new Map([[flow.start, ""]])
  const fanOuts: Array<string> = []
  const open = [flow.start]

  const enter = (node: string, { option, to: target }: Way, region: string): boolean => {
    const known = regions.get(target)
    if (known === undefined) {
      regions.set(target, region)
      open.push(target)
    } else if (known !== region) {
      problems.push({ _tag: "LeavesBranch", node, option, target, join: region })
      return false
    }
    return true
  }
  const walk = (region: string): void => {
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const node = flow.nodes[name]!
      for (const way of waysOf(node)) {
        if (way.to === "end") {
          if (region !== "")
            problems.push({ _tag: "EndInBranch", node: name, option: way.option, join: region })
        } else if (way.to !== region) enter(name, way, region)
      }
      for (const way of joinOf(node)) {
        if (way.to === region) problems.push({ _tag: "JoinsOutside", node: name, join: region })
        else if (enter(name, way, region)) fanOuts.push(name)
      }
    }
  }

  // From the outside in, so that what is found is the way that leads out of a branch, and not the one that leads in.
  walk("")
  for (const name of fanOuts) {
    const node = flow.nodes[name]!
    const { join } = node.fanOut!
    for (const way of branchesOf(node)) enter(name, way, join)
    walk(join)
  }
  return { regions, problems }
}

const checkEnds = (flow: Flow.Any, regions: ReadonlyMap<string, string>): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const before = new Map<string, Array<string>>()
  for (const [name, node] of Object.entries(flow.nodes)) {
    for (const { to } of [...waysOf(node), ...joinOf(node)]) {
      const known = before.get(to)
      if (known === undefined) before.set(to, [name])
      else known.push(name)
    }
  }
  const ending = new Map<string, Set<string>>()
  for (const [node, join] of regions) {
    let found = ending.get(join)
    if (found === undefined) {
      const inRegion = (name: string) => regions.get(name) === join
      found = reach(join === "" ? "end" : join, (name) => before.get(name)?.filter(inRegion) ?? [])
      ending.set(join, found)
    }
    if (!found.has(node)) {
      problems.push(join === "" ? { _tag: "DeadEnd", node } : { _tag: "NoJoin", node, join })
    }
  }
  return problems
}

export const checkGraph = (flow: Flow.Any, hasOutput: boolean): ReadonlyArray<Problem> => {
  const problems = checkTargets(flow, hasOutput)
  // What follows asks where paths lead: with targets missing the answers would only repeat what is said already.
  if (problems.length > 0) return problems
  const reached = follow(flow, everyWay)
  const unreachable = Object.keys(flow.nodes)
    .filter((node) => !reached.has(node))
    .map((node): Problem => ({ _tag: "Unreachable", node, start: flow.start }))
  const { problems: crossing, regions } = divide(flow)
  return [...unreachable, ...(crossing.length > 0 ? crossing : checkEnds(flow, regions))]
}
