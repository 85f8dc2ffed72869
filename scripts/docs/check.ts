/** Type-checks and runs the code that the documentation shows. */
import { spawnSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve, sep } from "node:path"
import type { Block, Output } from "./blocks.ts"
import { anchorsOf, blocksOf, docCommentsOf, linksOf } from "./blocks.ts"

const workspace = resolve(import.meta.dirname, "../..")
const runLimitMillis = 60_000

const markdown = [
  "README.md",
  "CONTRIBUTING.md",
  "AGENTS.md",
  "docs/**/*.md",
  "packages/*/README.md",
  "examples/*/README.md",
  "benchmarks/README.md"
]
const sources = ["packages/*/src/**/*.ts"]

export interface Options {
  /** The folder whose documentation is checked. It must lie in the workspace, so that imports resolve. */
  readonly root: string
  /** Where the extracted programs are written; emptied first. It must lie in the workspace, too. */
  readonly scratch: string
}

export interface Report {
  readonly files: number
  readonly checked: number
  readonly executed: number
  readonly compared: number
  readonly links: number
  /** One text for each problem, each beginning with `file:line`. */
  readonly problems: ReadonlyArray<string>
}

/** A program: one block, or a block and those that continue it. */
interface Program {
  readonly file: string
  readonly name: string
  readonly lines: Array<string>
  readonly line: number
  run: boolean
  output: Output | undefined
}

const isTypeScript = ({ info }: Block) => info[0] === "ts" || info[0] === "typescript"
const known = new Set(["run", "continued"])

const programsOf = (file: string, blocks: ReadonlyArray<Block>, problems: Array<string>): Array<Program> => {
  const programs: Array<Program> = []
  let previous: Block | undefined
  for (const block of blocks) {
    const at = `${file}:${block.line}`
    if (isTypeScript(block)) {
      const flags = block.info.slice(1)
      for (const flag of flags)
        if (!known.has(flag)) problems.push(`${at}: unknown word "${flag}" after \`\`\`ts`)
      let program = programs.at(-1)
      if (!flags.includes("continued") || program === undefined) {
        if (flags.includes("continued")) problems.push(`${at}: there is no block that this one continues`)
        const name = `${file.replace(/[^A-Za-z0-9]+/g, "-")}-${block.line}.ts`
        program = { file, name, line: block.line, lines: [], run: false, output: undefined }
        programs.push(program)
      }
      // Code stands on the lines it has in its document, so that positions need no translation.
      while (program.lines.length < block.line - 1) program.lines.push("")
      program.lines.push(...block.code)
      if (flags.includes("run")) program.run = true
    } else if (block.info[0] === "text" && block.info[1] === "output") {
      const program = programs.at(-1)
      if (program === undefined || previous === undefined || !isTypeScript(previous) || !program.run) {
        problems.push(`${at}: a "text output" block follows the "ts run" block that prints it`)
      } else {
        program.output = { line: block.line, text: block.code.join("\n").trimEnd() }
      }
    }
    previous = block
  }
  return programs
}

const programsOfMarkdown = (file: string, lines: ReadonlyArray<string>, problems: Array<string>) => {
  const { blocks, unclosed } = blocksOf(lines)
  if (unclosed !== undefined) problems.push(`${file}:${unclosed}: this block is never closed`)
  return programsOf(file, blocks, problems)
}

const programsOfSource = (file: string, source: string, problems: Array<string>) =>
  docCommentsOf(source).flatMap(({ firstLine, lines }) => {
    const { blocks, unclosed } = blocksOf(lines, firstLine)
    if (unclosed !== undefined) problems.push(`${file}:${unclosed}: this block is never closed`)
    const example = lines.findIndex((line) => /^\s*@example\b/.test(line))
    if (example >= 0 && !blocks.some((block) => isTypeScript(block) && block.line > firstLine + example)) {
      problems.push(`${file}:${firstLine + example}: this @example has no \`\`\`ts block`)
    }
    return programsOf(file, blocks, problems)
  })

const checkLinks = (
  root: string,
  file: string,
  lines: ReadonlyArray<string>,
  problems: Array<string>
): number => {
  let count = 0
  for (const { line, target } of linksOf(lines)) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue
    count++
    const [path, anchor] = target.split("#") as [string, string | undefined]
    const absolute = path === "" ? join(root, file) : resolve(root, dirname(file), decodeURIComponent(path))
    if (!existsSync(absolute)) problems.push(`${file}:${line}: the link leads to ${path}, which is not there`)
    else if (anchor !== undefined && absolute.endsWith(".md")) {
      const anchors = anchorsOf(readFileSync(absolute, "utf8").split("\n"))
      if (!anchors.has(anchor))
        problems.push(`${file}:${line}: ${path || file} has no heading for #${anchor}`)
    }
  }
  return count
}

const typeCheck = (scratch: string, programs: ReadonlyArray<Program>, problems: Array<string>): void => {
  const config = join(scratch, "tsconfig.json")
  const compilerOptions = {
    // Sources of packages are checked with them, and that of a store names WebAssembly.
    lib: ["ES2023", "DOM"],
    noEmit: true,
    composite: false,
    incremental: false,
    declaration: false,
    declarationMap: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    plugins: []
  }
  const files = programs.map(({ name }) => name)
  const base = relative(scratch, join(workspace, "tsconfig.base.json")).split(sep).join("/")
  writeFileSync(config, JSON.stringify({ extends: base, files, compilerOptions }, null, 2))

  const tsc = join(workspace, "node_modules/typescript/bin/tsc")
  const result = spawnSync(process.execPath, [tsc, "-p", config, "--pretty", "false"], {
    cwd: scratch,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024
  })
  const places = new Map(programs.map((program) => [program.name, program.file]))
  const before = problems.length
  for (const line of result.stdout.split("\n")) {
    const match = /^(\S.*)\((\d+),(\d+)\): (.*)$/.exec(line)
    if (match !== null) {
      const path = match[1]!
      const file = places.get(path) ?? relative(workspace, resolve(scratch, path))
      problems.push(`${file}:${match[2]}:${match[3]}: ${match[4]}`)
    } else if (/^\s+\S/.test(line) && problems.length > before) {
      problems[problems.length - 1] += `\n${line}`
    } else if (line.trim() !== "") {
      problems.push(`tsc: ${line}`)
    }
  }
  if (result.status !== 0 && problems.length === before) {
    problems.push(`tsc ended with ${result.status ?? result.signal}: ${result.stderr}${result.error ?? ""}`)
  }
}

/** The environment for programs whose output is compared: without colours, whatever the terminal or Nx wants. */
const plainEnvironment = (): NodeJS.ProcessEnv => {
  const { FORCE_COLOR: _, ...environment } = process.env
  return { ...environment, NO_COLOR: "1" }
}

const indented = (text: string) =>
  text
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n")

const run = (scratch: string, program: Program, problems: Array<string>): void => {
  const cwd = join(scratch, `${program.name}.cwd`)
  mkdirSync(cwd)
  const result = spawnSync(
    process.execPath,
    ["--conditions=@waymark/source", "--disable-warning=ExperimentalWarning", join(scratch, program.name)],
    { cwd, encoding: "utf8", env: plainEnvironment(), timeout: runLimitMillis }
  )
  if (result.status !== 0) {
    const how =
      result.error?.message ?? (result.status === null ? result.signal : `exit code ${result.status}`)
    problems.push(
      `${program.file}:${program.line}: running this block ended with ${how}\n${indented(result.stdout + result.stderr)}`
    )
    return
  }
  const printed = result.stdout.trimEnd()
  if (program.output !== undefined && printed !== program.output.text) {
    problems.push(
      `${program.file}:${program.output.line}: this is not what the block before it prints, which is\n${indented(printed)}`
    )
  }
}

/** Checks all documentation below `root`. */
export const checkDocs = ({ root, scratch }: Options): Report => {
  const problems: Array<string> = []
  const programs: Array<Program> = []
  let links = 0
  const find = (patterns: ReadonlyArray<string>) =>
    patterns.flatMap((pattern) =>
      globSync(pattern, { cwd: root })
        .map((file) => file.split(sep).join("/"))
        .sort()
    )

  const documents = find(markdown)
  for (const file of documents) {
    const lines = readFileSync(join(root, file), "utf8").split("\n")
    programs.push(...programsOfMarkdown(file, lines, problems))
    links += checkLinks(root, file, lines, problems)
  }
  const modules = find(sources)
  for (const file of modules) {
    programs.push(...programsOfSource(file, readFileSync(join(root, file), "utf8"), problems))
  }

  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { recursive: true })
  for (const { name, lines } of programs) {
    // The export makes a module of a block that imports nothing.
    writeFileSync(join(scratch, name), `${lines.join("\n")}\nexport {}\n`)
  }
  if (programs.length === 0)
    problems.push(`${relative(workspace, root) || "."}: there is no code block to check`)
  else typeCheck(scratch, programs, problems)

  const executed = programs.filter((program) => program.run)
  for (const program of executed) run(scratch, program, problems)

  return {
    files: documents.length + modules.length,
    checked: programs.length,
    executed: executed.length,
    compared: executed.filter(({ output }) => output !== undefined).length,
    links,
    problems
  }
}
