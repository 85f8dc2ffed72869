/**
 * The names of all cases, in the order of the table, and where they are. A case's module is loaded only in the process
 * that measures it.
 */
import type { Case } from "../harness/case.ts"

interface Cases {
  readonly cases: ReadonlyArray<Case>
}

const modules: ReadonlyArray<readonly [load: () => Promise<Cases>, names: ReadonlyArray<string>]> = [
  [
    () => import("./chain.ts"),
    [
      "chain-10-memory",
      "chain-1000-memory",
      "chain-100000-memory",
      "chain-strict-10-memory",
      "chain-strict-1000-memory",
      "chain-strict-100000-memory",
      "chain-10-fs",
      "chain-1000-fs",
      "chain-100000-fs",
      "chain-strict-10-fs",
      "chain-strict-1000-fs",
      "chain-strict-100000-fs",
      "chain-1000-sqljs",
      "chain-100000-sqljs",
      "chain-strict-sqljs"
    ]
  ],
  [
    () => import("./growth.ts"),
    ["depth-memory", "depth-fs", "untouched-memory", "untouched-fs", "list-memory", "list-fs"]
  ],
  [() => import("./many.ts"), ["many-memory", "many-fs", "many-sqljs"]],
  [() => import("./fanOut.ts"), ["fan-out-memory", "fan-out-fs"]],
  [() => import("./waiting.ts"), ["waiting", "signal"]],
  [
    () => import("./recovery.ts"),
    ["recovery", "history", "open", "recovery-sqljs", "history-sqljs", "open-sqljs"]
  ],
  [() => import("./pause.ts"), ["pause-memory", "pause-fs"]],
  [() => import("./size.ts"), ["size-sqljs"]],
  [() => import("./crashes.ts"), ["crash-points"]],
  [() => import("./build.ts"), ["types", "size"]]
]

export const names: ReadonlyArray<string> = modules.flatMap(([, own]) => own)

/** The case of that name. */
export const loadCase = async (name: string): Promise<Case> => {
  const load = modules.find(([, own]) => own.includes(name))?.[0]
  const found = load === undefined ? undefined : (await load()).cases.find((each) => each.name === name)
  if (found === undefined) throw new Error(`there is no case ${name}`)
  return found
}
