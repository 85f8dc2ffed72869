/**
 * What can go wrong before a run is asked for anything: each error says what, where, and what to do.
 */
import * as Schema from "effect/Schema"

const quoted = (names: ReadonlyArray<string>): string => names.map((name) => JSON.stringify(name)).join(", ")

/**
 * Why a configuration cannot be used.
 *
 * - `Missing`: there is no such file
 * - `Threw`: it, or what it imports, throws or cannot be read
 * - `NoExport`: it has no default export
 * - `WrongType`: its default export is not what `defineConfig` gives; `at` is where, `found` what is there
 * - `TwoFlows`: two of its flows have one id
 * - `Handlers`: the layer of a flow's handlers cannot be built
 */
const ConfigErrorReason = Schema.Union([
  Schema.TaggedStruct("Missing", {}),
  Schema.TaggedStruct("Threw", { detail: Schema.String }),
  Schema.TaggedStruct("NoExport", { exports: Schema.Array(Schema.String) }),
  Schema.TaggedStruct("WrongType", { at: Schema.String, expected: Schema.String, found: Schema.String }),
  Schema.TaggedStruct("TwoFlows", { flow: Schema.String, sites: Schema.Array(Schema.String) }),
  Schema.TaggedStruct("Handlers", { flow: Schema.String, detail: Schema.String })
])

const describe = (reason: typeof ConfigErrorReason.Type): string => {
  switch (reason._tag) {
    case "Missing":
      return "there is no such file; `waymark init` makes one"
    case "Threw":
      return `it cannot be loaded: ${reason.detail}`
    case "NoExport": {
      const others = reason.exports.length === 0 ? "nothing" : quoted(reason.exports)
      return `it has no default export (it exports ${others}); write \`export default defineConfig({ … })\``
    }
    case "WrongType":
      return `${reason.at} is ${reason.found}, and must be ${reason.expected}`
    case "TwoFlows": {
      const at = reason.sites.length === 0 ? "" : ` (${reason.sites.join(", ")})`
      return `two of its flows have the id ${JSON.stringify(reason.flow)}${at}; give one of them another`
    }
    case "Handlers":
      return `the handlers of flow ${JSON.stringify(reason.flow)} cannot be made: ${reason.detail}`
  }
}

/** A configuration cannot be used. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  file: Schema.String,
  reason: ConfigErrorReason,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `${this.file}: ${describe(this.reason)}`
  }
}

/** There is nothing to read runs from. */
export class NoStore extends Schema.TaggedError<NoStore>()("NoStore", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/**
 * Nothing has the name that was given. `where` is where it was looked for, `like` are names that it may be meant for, `known`
 * all there are, if few.
 */
export class UnknownName extends Schema.TaggedError<UnknownName>()("UnknownName", {
  what: Schema.String,
  name: Schema.String,
  where: Schema.optionalKey(Schema.String),
  like: Schema.Array(Schema.String),
  known: Schema.optionalKey(Schema.Array(Schema.String)),
  hint: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const { hint, known, like, name, what, where } = this
    const text = `there is no ${what} ${JSON.stringify(name)}${where === undefined ? "" : ` in ${where}`}`
    if (like.length > 0) return `${text}; did you mean ${quoted(like)}?`
    if (known !== undefined && known.length > 0) return `${text}; there are ${quoted(known)}`
    return hint === undefined ? text : `${text}; ${hint}`
  }
}

/** Several things have names that begin with what was given. */
export class AmbiguousName extends Schema.TaggedError<AmbiguousName>()("AmbiguousName", {
  what: Schema.String,
  name: Schema.String,
  matches: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${JSON.stringify(this.name)} begins the names of several ${this.what}s: ${quoted(this.matches)}; give more of it`
  }
}

/** What was given on the command line is not what it must be. */
export class BadInput extends Schema.TaggedError<BadInput>()("BadInput", {
  what: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.what}: ${this.detail}`
  }
}

/** The command ends with this exit code; what there is to say is said. */
export class EndWith extends Schema.TaggedError<EndWith>()("EndWith", { code: Schema.Int }) {}
