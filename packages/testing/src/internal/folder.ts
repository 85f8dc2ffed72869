/**
 * A folder of journals: one file of lines for each.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const extension = ".jsonl"

export const pathOf = (folder: string | URL): string =>
  typeof folder === "string" ? folder : fileURLToPath(folder)

/** The names of the journals in a folder; none if there is no such folder. */
export const journalsIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith(extension))
      .map((file) => file.slice(0, -extension.length))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    throw error
  }
}

/** The path of a journal. */
export const fileOf = (folder: string, name: string): string => join(folder, `${name}${extension}`)

export const readLines = (folder: string, name: string): ReadonlyArray<string> =>
  readFileSync(fileOf(folder, name), "utf8")
    .split("\n")
    .filter((line) => line !== "")

/** Writes a journal that is not there yet, and gives its path. */
export const write = (folder: string, name: string, lines: ReadonlyArray<string>): string => {
  mkdirSync(folder, { recursive: true })
  const path = fileOf(folder, name)
  writeFileSync(path, `${lines.join("\n")}\n`, { flag: "wx" })
  return path
}
