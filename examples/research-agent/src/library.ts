/**
 * How the agent's tools do what they do: over the pages in a folder.
 */
import { Context, Effect, FileSystem, Path } from "effect"
import { NotThere, Research } from "./agent.ts"
import { Witness } from "./witness.ts"

const page = /^[a-z0-9-]+\.md$/

/** Where the pages are, and where reports go. */
export class Folders extends Context.Service<
  Folders,
  { readonly library: string; readonly reports: string }
>()("example/Folders") {}

/** `Why did it go dark?` becomes `why-did-it-go-dark`. */
const fileName = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .slice(0, 80)

export const ResearchTools = Research.toLayer(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { join } = yield* Path.Path
    const { around } = yield* Witness
    const { library, reports } = yield* Folders
    const lines = (path: string) =>
      Effect.map(fs.readFileString(join(library, path)), (text) => text.split("\n"))

    return Research.of({
      search_docs: ({ query }) =>
        Effect.gen(function* () {
          const words = query.toLowerCase().split(/\s+/)
          const paths = (yield* fs.readDirectory(library)).filter((path) => page.test(path)).sort()
          const hits = yield* Effect.forEach(paths, (path) =>
            Effect.map(lines(path), (all) =>
              all.flatMap((text, index) =>
                words.every((word) => text.toLowerCase().includes(word))
                  ? [{ path, line: index + 1, text }]
                  : []
              )
            )
          )
          return hits.flat().slice(0, 5)
        }).pipe(Effect.orDie, (work) => around("tool", "search_docs", work)),

      read_section: ({ line, path }) =>
        Effect.gen(function* () {
          // The model says what is read: only pages of the library are.
          if (!page.test(path)) return yield* new NotThere({ path })
          const all = yield* Effect.mapError(lines(path), () => new NotThere({ path }))
          return all
            .slice(line - 1, line + 2)
            .join("\n")
            .trim()
        }).pipe((work) => around("tool", "read_section", work)),

      publish_report: ({ markdown, title }) =>
        Effect.gen(function* () {
          const path = join(reports, `${fileName(title)}.md`)
          yield* fs.makeDirectory(reports, { recursive: true })
          // Written whole or not at all: the call may be repeated.
          yield* fs.writeFileString(`${path}.tmp`, `# ${title}\n\n${markdown}\n`)
          yield* fs.rename(`${path}.tmp`, path)
          return { path }
        }).pipe(Effect.orDie, (work) => around("tool", "publish_report", work))
    })
  })
)
