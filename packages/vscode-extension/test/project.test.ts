import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { afterAll, describe, expect, it } from "vitest"
import * as Project from "../src/acting/Project.ts"
import { fakeEditor } from "./fakeEditor.ts"

const root = realpathSync(mkdtempSync(join(tmpdir(), "waymark-project-")))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const put = (path: string, text = ""): string => {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

/** A command that is installed in a folder. */
const install = (folder: string, needs = ">=22.19") => {
  const manifest = { version: "1.2.3", bin: { waymark: "./dist/bin.js" }, engines: { node: needs } }
  put(
    `${folder}/node_modules/@waymark/cli/package.json`,
    JSON.stringify({ name: "@waymark/cli", exports: { "./package.json": "./package.json" }, ...manifest })
  )
  return put(`${folder}/node_modules/@waymark/cli/dist/bin.js`)
}

const find = (
  store: string,
  answers: {
    readonly trusted?: boolean
    readonly node?: string
    readonly folders?: ReadonlyArray<string>
  } = {}
) => {
  const editor = fakeEditor({
    folders: answers.folders ?? [join(root, "ws")],
    trusted: answers.trusted ?? true,
    settings: { node: answers.node ?? process.execPath }
  })
  return Effect.runPromise(
    Effect.flatMap(Project.Projects, ({ of }) => of(join(root, store))).pipe(
      Effect.provide(Project.layer.pipe(Layer.provide([editor.layer, NodeServices.layer]))),
      Effect.catchTag("NoProject", (error) => Effect.succeed(error))
    )
  )
}

describe("the project of a store", () => {
  it("is the nearest configuration above it in the workspace, with the command installed there", async () => {
    const above = put("ws/waymark.config.ts")
    const near = put("ws/app/waymark.config.mts")
    const bin = install("ws")
    expect(await find("ws/app/.waymark")).toMatchObject({
      config: near,
      program: process.execPath,
      args: [bin]
    })
    expect(await find("ws/data/deep/.waymark")).toMatchObject({
      config: above,
      label: "ws/waymark.config.ts"
    })
    // A store elsewhere is executed by a folder of the workspace; what lies around it is not trusted.
    put("elsewhere/waymark.config.ts")
    expect(await find("elsewhere/.waymark")).toMatchObject({ config: above })
  })

  it("is none in a workspace that is not trusted, and nothing is looked for", async () => {
    expect(await find("ws/.waymark", { trusted: false })).toMatchObject({ reason: { _tag: "Untrusted" } })
  })

  it("says what is missing, and what to do", async () => {
    const bare = await find("bare/.waymark", { folders: [join(root, "bare")] })
    expect((bare as Error).message).toMatch(/no waymark\.config\.ts in .*bare.*npx @waymark\/cli init/)
    put("alone/waymark.config.ts")
    const alone = await find("alone/.waymark", { folders: [join(root, "alone")] })
    expect((alone as Error).message).toMatch(/@waymark\/cli is not installed.*npm install/)
    put("broken/waymark.config.ts")
    rmSync(install("broken"))
    const broken = await find("broken/.waymark", { folders: [join(root, "broken")] })
    expect((broken as Error).message).toMatch(/bin\.js: it is not there.*install it again/)
  })

  it("says that a Node is missing or too old, and which setting names another", async () => {
    const missing = await find("ws/.waymark", { node: "no-such-node" })
    expect((missing as Error).message).toMatch(/"no-such-node".*waymark\.node/)
    put("new/waymark.config.ts")
    install("new", ">=999")
    const old = await find("new/.waymark", { folders: [join(root, "new")] })
    expect((old as Error).message).toMatch(/needs >=999.*waymark\.node/)
  })

  it("takes a Node by a path from the first folder on", async () => {
    symlinkSync(process.execPath, join(root, "ws/my-node"))
    expect(await find("ws/.waymark", { node: "./my-node" })).toMatchObject({
      program: join(root, "ws/my-node")
    })
  })

  it("compares versions by their parts", () => {
    expect(Project.suffices("22.19.0", ">=22.19")).toBe(true)
    expect(Project.suffices("22.9.0", ">=22.19")).toBe(false)
    expect(Project.suffices("24.0.0", ">=22.19")).toBe(true)
    expect(Project.suffices("20.0.0", "^22 || ^24")).toBe(true)
  })

  it("starts programs without what makes the editor's own Node what it is", () => {
    const before = { ...process.env }
    Object.assign(process.env, { ELECTRON_RUN_AS_NODE: "1", NODE_OPTIONS: "--inspect", VSCODE_PID: "1" })
    try {
      const env = Project.environment()
      expect(Object.keys(env).filter((name) => /^(?:ELECTRON_|VSCODE_|NODE_OPTIONS)/.test(name))).toEqual([])
      expect(env["PATH"]).toBe(before["PATH"])
    } finally {
      for (const name of ["ELECTRON_RUN_AS_NODE", "NODE_OPTIONS", "VSCODE_PID"]) delete process.env[name]
      Object.assign(process.env, before)
    }
  })
})
