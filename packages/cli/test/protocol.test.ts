import { build } from "esbuild"
import { resolve } from "node:path"
import { assert, it } from "vitest"

it("an editor can import the protocol and the client without Node", async () => {
  const { metafile, outputFiles } = await build({
    stdin: {
      contents: 'export * from "./WorkerProtocol.ts"\nexport * from "./WorkerClient.ts"',
      resolveDir: resolve(import.meta.dirname, "../src"),
      loader: "ts"
    },
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: "esm",
    platform: "browser",
    conditions: ["@waymark/source"]
  })
  assert.isNotEmpty(outputFiles[0]!.text)
  const inputs = Object.keys(metafile.inputs)
  assert.isTrue(inputs.some((file) => file.endsWith("core/src/Event.ts")))
  assert.deepStrictEqual(
    inputs.filter(
      (file) =>
        file.includes("platform-node") || file.includes("store-fs") || file.includes("cli/src/internal")
    ),
    []
  )
})
