/**
 * Where the figures come from.
 */
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs"
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os"
import { join, resolve } from "node:path"

const benchmarks = resolve(import.meta.dirname, "../..")

const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext2/3/4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x2fc12fc1, "zfs"],
  [0x794c7630, "overlayfs"],
  [0x6969, "nfs"]
])
const inMemory: ReadonlyMap<number, string> = new Map([
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"]
])

/** The name of the file system of a directory; a `RangeError` if it is kept in memory, where a sync means nothing. */
export const fileSystemOf = (directory: string): string => {
  const { type } = statfsSync(directory)
  const memory = inMemory.get(type)
  if (memory !== undefined) {
    throw new RangeError(
      `${directory} is on ${memory}: nothing about a disk can be measured there; use --directory`
    )
  }
  return fileSystems.get(type) ?? `type 0x${type.toString(16)}`
}

export interface Workplace {
  readonly directory: string
  readonly fileSystem: string
  readonly remove: () => void
}

/** A new directory to work in, below `parent` or beside the sources. */
export const makeWorkplace = (parent: string | undefined): Workplace => {
  const base = parent === undefined ? join(benchmarks, ".work") : resolve(parent)
  mkdirSync(base, { recursive: true })
  const directory = mkdtempSync(join(base, "run-"))
  try {
    return {
      directory,
      fileSystem: fileSystemOf(directory),
      remove: () => rmSync(directory, { recursive: true, force: true })
    }
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly fileSystem: string
  /** The average number of processes that wanted to run in the last minute, before and after. */
  readonly load: readonly [before: number, after: number]
}

export const currentLoad = (): number => Math.round(loadavg()[0]! * 100) / 100

export const describeMachine = (fileSystem: string, loadBefore: number): Machine => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `${type()} ${release().split(".").slice(0, 2).join(".")}`,
  node: process.version,
  fileSystem,
  load: [loadBefore, currentLoad()]
})
