// Runs the Effect-aware TypeScript compiler over the workspace. Its errors and warnings fail; its suggestions are
// counted. It exists for one platform only: elsewhere this check is left to continuous integration.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const platform = `${process.platform}-${process.arch}`
const compiler = `node_modules/@effect/tsgo-${platform}/artifacts/typescript/7.0.2/tsc`

const main = (): number => {
  if (!existsSync(resolve(root, compiler))) {
    if (platform === "linux-x64") {
      console.error(`${compiler} is not installed: run npm ci with optional dependencies`)
      return 1
    }
    console.log(`effect diagnostics: not available for ${platform}`)
    return 0
  }
  const result = spawnSync(resolve(root, compiler), ["-b", "--force", "tsconfig.json", "--pretty", "false"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024
  })
  let diagnostics = 0
  let serious = 0
  let suggestions = 0
  let shown = false
  for (const line of result.stdout.split("\n")) {
    const severity =
      /: (error|warning|suggestion|message) TS\d+:/.exec(line)?.[1] ?? /^(error) TS\d+:/.exec(line)?.[1]
    if (severity !== undefined) {
      diagnostics++
      // Type tests are wrong on purpose: what the Effect-aware diagnostics (TS377...) say of them is no news.
      const intended = /\/typetest\/.*: \w+ TS377\d+:/.test(line)
      shown = (severity === "error" || severity === "warning") && !intended
      if (shown) serious++
      else if (!intended) suggestions++
    }
    // Lines without a severity continue the diagnostic before them.
    if (shown && line.trim() !== "") console.error(line)
  }
  if (result.stderr !== "") console.error(result.stderr)
  console.log(`effect diagnostics: ${serious} errors and warnings, ${suggestions} suggestions`)
  if (result.status !== 0 && diagnostics === 0) {
    console.error(
      `the compiler ended with ${result.status ?? result.signal}: ${result.error ?? result.stdout}`
    )
    return 1
  }
  return serious === 0 ? 0 : 1
}

process.exitCode = main()
