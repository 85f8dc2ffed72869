import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Doctor from "../doctor.ts"
import * as JsonPath from "../jsonPath.ts"
import { Output } from "../output.ts"
import * as Text from "../text.ts"

export const doctor = Command.make(
  "doctor",
  {},
  Effect.fn("doctor")(function* () {
    const output = yield* Output
    const findings = yield* Doctor.examine
    const { paint } = output
    const signs = { ok: paint("green", "✔"), note: paint("yellow", "!"), problem: paint("red", "✖") }
    yield* output.document({ findings }, () =>
      Text.columns(
        findings.map(({ detail, level, name }) => [
          signs[level],
          paint("bold", name),
          Text.clean(detail, true)
        ])
      )
    )
    if (findings.some(({ level }) => level === "problem")) return yield* JsonPath.different
  })
).pipe(
  Command.withDescription(
    "Look whether everything is as it should be: Node, the configuration, the flows, the store."
  )
)
