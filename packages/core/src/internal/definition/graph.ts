/**
 * Where the paths of a flow lead.
 *
 * Each node belongs to one region: the main line, or the branches that end at one join. A branch leaves its region at
 * that join and nowhere else, so that it is always known what runs apart from what, and where it comes together.
 */
import type * as Flow from "../../Flow.ts"
import type * as Node from "../../Node.ts"
import type { Problem } from "./problem.ts"

/** A node, or `"end"`, that a node names, and the option that names it. */
interface Way {
  readonly option: string
  readonly to: string
}

const routed = (option: string, route: Node.OnError | undefined): ReadonlyArray<Way> => {
  if (typeof route === "string") return [{ option, to: route }]
  return route === undefined || route.status === "stop" ? [] : [{ option, to: route.to }]
}

/** The ways on from a node that stay on its line. */
const waysOf = ({ fanOut, onDefect, onError, to }: Node.Any): ReadonlyArray<Way> => [
  ...to.map((name) => ({ option: "to", to: name })),
  ...Object.entries(onError).flatMap(([tag, route]) => routed(`onError.${tag}`, route)),
  ...routed("onDefect", onDefect),
  ...routed("fanOut.join", fanOut?.join)
]

/** The ways into the branches that a node begins. */
const branchesOf = ({ fanOut }: Node.Any): ReadonlyArray<Way> =>
  (fanOut?.to ?? []).map((to) => ({ option: "fanOut.to", to }))

const everyWay = (node: Node.Any): ReadonlyArray<Way> => [...waysOf(node), ...branchesOf(node)]

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

const follow = ({ nodes, startNode }: Flow.Any, ways: (node: Node.Any) => ReadonlyArray<Way>): Set<string> =>
  reach(startNode, (name) => (Object.hasOwn(nodes, name) ? ways(nodes[name]!).map(({ to }) => to) : []))

/** The nodes whose errors fail a branch at most, since a fan-out around them collects the failures. */
export const collected = (flow: Flow.Any): ReadonlySet<string> => {
  const found = follow(flow, everyWay)
  const failing = follow(flow, (node) => (node.fanOut?.policy === "collect" ? waysOf(node) : everyWay(node)))
  for (const name of failing) found.delete(name)
  return found
}

const checkTargets = (flow: Flow.Any, hasOutput: boolean): ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const nodes = Object.keys(flow.nodes)
  const isNode = (name: string) => Object.hasOwn(flow.nodes, name)
  const takesItem = (name: string) => flow.nodes[name]!.item !== undefined
  if (!isNode(flow.startNode)) problems.push({ _tag: "UnknownStart", start: flow.startNode, nodes })
  else if (takesItem(flow.startNode))
    problems.push({ _tag: "ItemMissing", option: "start", target: flow.startNode })
  for (const [node, { fanOut, to }] of Object.entries(flow.nodes)) {
    for (const { option, to: target } of everyWay(flow.nodes[node]!)) {
      const inFanOut = option.startsWith("fanOut")
      if (isNode(target)) {
        if (option !== "fanOut.to" && takesItem(target))
          problems.push({ _tag: "ItemMissing", node, option, target })
      } else if (inFanOut || (target !== "end" && (option === "to" || target !== ""))) {
        problems.push({ _tag: "UnknownTarget", node, option, target, nodes })
      } else if (target === "") problems.push({ _tag: "AmbiguousTarget", node, option, targets: to })
      else if (option !== "to" && hasOutput) problems.push({ _tag: "EndWithoutOutput", node, option })
    }
    if (to.length === 0 && fanOut === undefined) problems.push({ _tag: "NoTarget", node })
  }
  return problems
}

/** The region of each node that can be reached: the join at which its branches end, `""` on the main line. */
const divide = (
  flow: Flow.Any
): { readonly regions: ReadonlyMap<string, string>; readonly problems: ReadonlyArray<Problem> } => {
  const problems: Array<Problem> = []
  const regions = new Map([
    ["end", ""],
    [flow.startNode, ""]
  ])
  const fanOuts: Array<string> = []
  const open = [flow.startNode]

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
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      for (const way of waysOf(flow.nodes[node]!)) {
        const joins = way.option === "fanOut.join"
        if (way.to === region) {
          if (joins) problems.push({ _tag: "JoinsOutside", node, join: region })
        } else if (enter(node, way, region) && joins) fanOuts.push(node)
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
    for (const { to } of waysOf(node)) {
      const known = before.get(to)
      if (known === undefined) before.set(to, [name])
      else known.push(name)
    }
  }
  const ending = new Map<string, Set<string>>()
  for (const [node, join] of regions) {
    let found = ending.get(join)
    if (found === undefined) {
      found = reach(join === "" ? "end" : join, (name) => before.get(name) ?? [])
      ending.set(join, found)
    }
    if (!found.has(node)) problems.push({ _tag: "DeadEnd", node, ...(join === "" ? undefined : { join }) })
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
    .map((node): Problem => ({ _tag: "Unreachable", node, start: flow.startNode }))
  const { problems: crossing, regions } = divide(flow)
  return [...unreachable, ...(crossing.length > 0 ? crossing : checkEnds(flow, regions))]
}
