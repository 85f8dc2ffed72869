import type { Measurement } from "./measurement.ts"

/** What a case gets to work with. */
export interface Setting {
  /** How many rounds to measure; a case may do with fewer if one takes long. */
  readonly rounds: number
  /** Whether to measure less, for an impression. */
  readonly quick: boolean
  /** An empty directory on a real disk, removed afterwards. */
  readonly directory: string
  /** The arguments that Node needs before a script, for cases that start processes of their own. */
  readonly execArgv: ReadonlyArray<string>
}

/** Something to measure, in a process of its own. */
export interface Case {
  readonly name: string
  readonly measure: (setting: Setting) => Promise<ReadonlyArray<Measurement>>
}

/**
 * Takes one sample of each of several things per round, in an order that rotates, so that whatever else goes on on the
 * machine touches all of them alike.
 *
 * The garbage collector is left alone: collecting everything between samples also throws away compiled code, and the
 * samples after it are of a process that has just begun.
 */
export const interleave = async <const Name extends string>(
  rounds: number,
  samplers: { readonly [K in Name]: () => Promise<number> | number }
): Promise<{ readonly [K in Name]: Array<number> }> => {
  const names = Object.keys(samplers) as Array<Name>
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as {
    readonly [K in Name]: Array<number>
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length]!
      samples[name].push(await samplers[name]())
    }
  }
  return samples
}

/** How long something takes, in milliseconds. */
export const timed = async (body: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await body()
  return performance.now() - start
}
