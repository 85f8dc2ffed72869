/**
 * Drafts that were saved, in a folder of the extension's own: they are there when the window is loaded again. One is
 * kept until its fork has begun, or nobody has written it for long.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { Editor } from "../Editor.ts"
import type { KeptDraft } from "../Editor.ts"

/** In milliseconds. */
const keptFor = 30 * 86_400_000

/** The folder of drafts cannot be written or read. */
export class DraftsUnkept extends Schema.TaggedError<DraftsUnkept>()("DraftsUnkept", {
  what: Schema.String,
  folder: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `a draft could not be ${this.what} in ${this.folder}: ${why}`
  }
}

export class KeptDrafts extends Context.Service<
  KeptDrafts,
  {
    readonly read: (query: string) => Effect.Effect<KeptDraft | undefined, DraftsUnkept>
    /** Gives the time at which it was written, in milliseconds since 1970. */
    readonly write: (query: string, bytes: Uint8Array) => Effect.Effect<number, DraftsUnkept>
    readonly drop: (query: string) => Effect.Effect<void, DraftsUnkept>
  }
>()("waymark-vscode/KeptDrafts") {}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ENOENT"

/** Without a folder of its own a window without a workspace forgets its drafts, as the editor forgets its tabs. */
const nowhere = KeptDrafts.of({
  read: () => Effect.undefined,
  write: () => Effect.sync(() => Date.now()),
  drop: () => Effect.void
})

const keptIn = (folder: string): KeptDrafts["Service"] => {
  const fileOf = (query: string): string =>
    Path.join(folder, `${createHash("sha256").update(query).digest("hex")}.json`)
  const attempt = <A>(what: string, run: () => Promise<A>): Effect.Effect<A, DraftsUnkept> =>
    Effect.tryPromise({ try: run, catch: (cause) => new DraftsUnkept({ what, folder, cause }) })
  let writes = 0
  return KeptDrafts.of({
    read: (query) =>
      attempt("read", async () => {
        const file = fileOf(query)
        const { mtimeMs } = await Fs.stat(file)
        return { bytes: await Fs.readFile(file), time: Math.floor(mtimeMs) }
      }).pipe(
        Effect.catchIf(
          ({ cause }) => isMissing(cause),
          () => Effect.undefined
        )
      ),
    write: (query, bytes) =>
      attempt("kept", async () => {
        const file = fileOf(query)
        await Fs.mkdir(folder, { recursive: true })
        // Whoever reads has the one before or this one.
        const made = `${file}.${process.pid}-${writes++}`
        await Fs.writeFile(made, bytes)
        await Fs.rename(made, file)
        return Math.floor((await Fs.stat(file)).mtimeMs)
      }),
    drop: (query) => attempt("removed", () => Fs.rm(fileOf(query), { force: true }))
  })
}

/** Removes what nobody has written for long. */
const prune = (folder: string) =>
  Effect.tryPromise(async () => {
    for (const name of await Fs.readdir(folder)) {
      const file = Path.join(folder, name)
      if ((await Fs.stat(file)).mtimeMs < Date.now() - keptFor) await Fs.rm(file, { force: true })
    }
  })

export const layer: Layer.Layer<KeptDrafts, never, Editor> = Layer.effect(
  KeptDrafts,
  Effect.gen(function* () {
    const editor = yield* Editor
    if (editor.storage === undefined) return nowhere
    const folder = Path.join(editor.storage, "drafts")
    yield* Effect.forkScoped(
      Effect.catch(prune(folder), ({ cause }) =>
        isMissing(cause)
          ? Effect.void
          : editor.log("warn", `old drafts in ${folder} could not be removed: ${String(cause)}`)
      )
    )
    return keptIn(folder)
  })
)
