/**
 * Fresh processes over what others left: going on after a crash, listing, opening.
 */
import { cpSync } from "node:fs"
import { join, resolve } from "node:path"
import { suffixOf } from "../engine.ts"
import type { Place } from "../engine.ts"
import { interleave } from "../harness/case.ts"
import type { Case, Setting } from "../harness/case.ts"
import { median } from "../harness/measurement.ts"
import { formatNumber } from "../harness/table.ts"
import { runProcess } from "../harness/processes.ts"
import type { Listed } from "../processes/history.ts"
import type { Opened } from "../processes/open.ts"
import type { Resumed } from "../processes/resume.ts"
import type { Scanned } from "../processes/scan.ts"

const script = (name: string): string => resolve(import.meta.dirname, `../processes/${name}.ts`)
const timeout = 120_000
const run = "the-run"

/** What is compared with: reading journals as JSON, or the bytes of a database. */
const rawOf = (place: Place): string => (place === "store-fs" ? "raw scan" : "raw read")

const nameOf = (name: string, place: Place): string =>
  place === "store-fs" ? name : `${name}-${suffixOf(place)}`

/** Time for what was not waited for to reach the disk, in milliseconds. */
const settling = 500

const expect = (what: string, found: number, expected: number): void => {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`)
}

/** A directory in which a process was killed with a run at step `steps`. */
const crashed = async ({ directory, execArgv }: Setting, place: Place, steps: number): Promise<string> => {
  const target = join(directory, "crashed")
  const { value } = await runProcess<number>(script("stop"), [target, run, String(steps), place], {
    execArgv,
    timeout,
    killAfter: settling
  })
  expect("steps before the crash", value, steps)
  return target
}

const scan = async (
  directory: string,
  { execArgv }: Setting,
  place: Place,
  leastLines: number
): Promise<number> => {
  const { value } = await runProcess<Scanned>(script("scan"), [directory], { execArgv, timeout })
  if (place === "store-fs" && value.lines < leastLines)
    throw new Error(`only ${value.lines} lines were written`)
  return value.took
}

const recovery = (place: Place): Case => ({
  name: nameOf("recovery", place),
  measure: async (setting) => {
    const steps = 10_000
    const { directory, execArgv } = setting
    const prepared = await crashed(setting, place, steps)
    const opened: Array<number> = []
    const loaded: Array<number> = []
    let copies = 0
    const samples = await interleave(setting.rounds, {
      resumed: async () => {
        // Taking over changes the directory: each time from the same one.
        const copy = join(directory, `copy-${++copies}`)
        cpSync(prepared, copy, { recursive: true, preserveTimestamps: true })
        const { value } = await runProcess<Resumed>(script("resume"), [copy, place], {
          execArgv,
          timeout,
          killAfter: 0
        })
        expect("steps behind the resumed one", value.behind, steps)
        opened.push(value.opened)
        loaded.push(value.loaded)
        return value.resumed
      },
      scan: () => scan(prepared, setting, place, steps)
    })
    return [
      {
        title: `10,000 steps in a fresh process: open to first resumed step, ${place}`,
        unit: "ms",
        samples: samples.resumed,
        baselines: [{ name: rawOf(place), samples: samples.scan }],
        ...(place === "store-fs" ? { goal: { kind: "value", atMost: 25 } as const } : undefined),
        note:
          `opening is ${formatNumber(median(opened))} ms of it; before it Node started and loaded the code ` +
          `in ${formatNumber(median(loaded))} ms`
      }
    ]
  }
})

const history = (place: Place): Case => ({
  name: nameOf("history", place),
  measure: async (setting) => {
    const steps = 10_000
    const { execArgv } = setting
    const prepared = await crashed(setting, place, steps)
    const opened: Array<number> = []
    const again: Array<number> = []
    const samples = await interleave(setting.rounds, {
      listed: async () => {
        const { value } = await runProcess<Listed>(script("history"), [prepared, run, String(steps), place], {
          execArgv,
          timeout
        })
        expect("checkpoints", value.count, steps)
        opened.push(value.opened)
        again.push(value.again)
        return value.first
      },
      scan: () => scan(prepared, setting, place, steps)
    })
    return [
      {
        title: `10,000 checkpoints listed in a fresh process, ${place}`,
        unit: "ms",
        samples: samples.listed,
        baselines: [{ name: rawOf(place), samples: samples.scan }],
        ...(place === "store-fs" ? { goal: { kind: "value", atMost: 50 } as const } : undefined),
        note: `${formatNumber(median(again))} ms the second time; opening before it took ${formatNumber(median(opened))} ms`
      }
    ]
  }
})

const open = (place: Place): Case => ({
  name: nameOf("open", place),
  measure: async (setting) => {
    const count = setting.quick ? 2000 : 10_000
    const { directory, execArgv, rounds } = setting
    const closed = join(directory, "closed")
    const killed = join(directory, "killed")
    await runProcess(script("fill"), [closed, String(count), "close", place], { execArgv, timeout })
    await runProcess(script("fill"), [killed, String(count), "kill", place], {
      execArgv,
      timeout,
      killAfter: settling
    })
    let copies = 0
    const opening = (prepared: string) => async (): Promise<number> => {
      const copy = join(directory, `copy-${++copies}`)
      cpSync(prepared, copy, { recursive: true, preserveTimestamps: true })
      const { value } = await runProcess<Opened>(script("open"), [copy, place], { execArgv, timeout })
      expect("runs in the first page", value.runs, 50)
      return value.listed
    }
    const samples = await interleave(rounds, {
      closed: opening(closed),
      killed: opening(killed),
      scan: () => scan(closed, setting, place, count * 5)
    })
    const baselines = [{ name: rawOf(place), samples: samples.scan }]
    const title = `opening a store of ${count.toLocaleString("en")} runs, ${place}`
    return [
      { title: `${title}, closed in order`, unit: "ms", samples: samples.closed, baselines },
      { title: `${title}, after a crash`, unit: "ms", samples: samples.killed, baselines }
    ]
  }
})

export const cases: ReadonlyArray<Case> = (["store-fs", "store-sqljs"] as const).flatMap((place) => [
  recovery(place),
  history(place),
  open(place)
])
