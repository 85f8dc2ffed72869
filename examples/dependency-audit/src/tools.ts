/**
 * How the tools do what they do. Each call leaves two lines in a witness file, apart from the journal, so that anyone
 * can count what was really executed.
 */
import { Tool } from "@waymark/core"
import { Context, Effect, FileSystem, Layer, Option, Path, Schema } from "effect"
import {
  LockfileUnreadable,
  type Manifest,
  ManifestUnreadable,
  ReadLockfile,
  ReadManifest,
  WriteReport
} from "./audit.ts"
import { Witness } from "./witness.ts"

const Lockfile = Schema.fromJsonString(
  Schema.Struct({
    lockfileVersion: Schema.Int,
    /** Absent in what npm 6 and older wrote. */
    packages: Schema.optionalKey(
      Schema.Record(
        Schema.String,
        Schema.Struct({
          name: Schema.optionalKey(Schema.String),
          version: Schema.optionalKey(Schema.String),
          link: Schema.optionalKey(Schema.Boolean)
        })
      )
    )
  })
)

const PackageJson = Schema.fromJsonString(
  Schema.Struct({
    license: Schema.optionalKey(Schema.Union([Schema.String, Schema.Struct({ type: Schema.String })])),
    licenses: Schema.optionalKey(Schema.Array(Schema.Struct({ type: Schema.String }))),
    scripts: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    deprecated: Schema.optionalKey(Schema.Union([Schema.String, Schema.Boolean]))
  })
)

const installHooks = ["preinstall", "install", "postinstall"]

const nameAt = (path: string): string =>
  path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)

const licenceOf = ({ license, licenses }: typeof PackageJson.Type): string | undefined =>
  typeof license === "string" ? license : (license?.type ?? licenses?.map(({ type }) => type).join(" OR "))

/**
 * What happens inside a call besides its work: nothing, unless a demonstration wants to be killed there.
 */
export class Interference extends Context.Service<
  Interference,
  { readonly during: (call: Tool.Invocation["Service"]) => Effect.Effect<void> }
>()("example/Interference") {}

/** Carries out a call between its two lines in the witness file. */
const witnessed = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const invocation = yield* Tool.Invocation
    const witness = yield* Witness
    const interference = yield* Interference
    yield* witness.begin(invocation.key)
    yield* interference.during(invocation)
    const result = yield* work
    yield* witness.end(invocation.key)
    return result
  })

const ReadLockfileLive = ReadLockfile.toLayer(({ path }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs.readFileString(path)
    const { lockfileVersion, packages } = yield* Schema.decodeEffect(Lockfile)(text)
    if (packages === undefined) {
      return yield* new LockfileUnreadable({
        path,
        reason: `lockfileVersion ${lockfileVersion} lists no packages; write it anew with npm 7 or later`
      })
    }
    return Object.entries(packages)
      .filter(([location, { link }]) => location.includes("node_modules/") && link !== true)
      .map(([location, { name, version }]) => ({
        path: location,
        name: name ?? nameAt(location),
        version: version ?? "0.0.0"
      }))
  }).pipe(
    Effect.catchTag("PlatformError", ({ reason }) =>
      Effect.fail(
        new LockfileUnreadable({
          path,
          reason:
            reason._tag === "NotFound"
              ? "there is no such file; name the package-lock.json of a project"
              : `the file cannot be read (${reason._tag}); name a package-lock.json that you may read`
        })
      )
    ),
    Effect.catchTag("SchemaError", () =>
      Effect.fail(
        new LockfileUnreadable({
          path,
          reason: "it is no lockfile of npm; name the package-lock.json of a project"
        })
      )
    ),
    witnessed
  )
)

const ReadManifestLive = ReadManifest.toLayer(({ lockfile, path }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { dirname, join } = yield* Path.Path
    const file = join(dirname(lockfile), path, "package.json")
    const text = yield* Effect.option(fs.readFileString(file))
    if (Option.isNone(text)) return { installed: false, installScripts: [] }
    const json = yield* Schema.decodeEffect(PackageJson)(text.value)
    const licence = licenceOf(json)
    const manifest: Manifest = {
      installed: true,
      installScripts: installHooks.filter((hook) => json.scripts?.[hook] !== undefined)
    }
    return {
      ...manifest,
      ...(licence === undefined ? undefined : { licence }),
      ...(typeof json.deprecated === "string" ? { deprecated: json.deprecated } : undefined)
    }
  }).pipe(
    Effect.catchTag("SchemaError", (error) =>
      Effect.fail(new ManifestUnreadable({ path, reason: error.message }))
    ),
    witnessed
  )
)

const WriteReportLive = WriteReport.toLayer(({ markdown, path }) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    // Written whole or not at all: the call may be repeated.
    yield* fs.writeFileString(`${path}.tmp`, markdown)
    yield* fs.rename(`${path}.tmp`, path)
  }).pipe(Effect.orDie, witnessed)
)

export const AuditTools = Layer.mergeAll(ReadLockfileLive, ReadManifestLive, WriteReportLive)
