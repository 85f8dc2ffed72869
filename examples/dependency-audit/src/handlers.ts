/**
 * What happens at each node of the audit.
 */
import { Effect } from "effect"
import {
  Audit,
  batchSize,
  type Finding,
  type Locked,
  type Manifest,
  ReadLockfile,
  ReadManifest,
  WriteReport
} from "./audit.ts"
import { renderReport } from "./report.ts"

const permissive =
  /^(MIT|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|BlueOak-1\.0\.0|CC0-1\.0|Unlicense|Python-2\.0)$/
const copyleft = /GPL|AGPL|EUPL|SSPL/

/** `(MIT OR GPL-2.0)` leaves the choice to us. */
const alternatives = (licence: string): ReadonlyArray<string> =>
  licence
    .replaceAll(/[()]/g, "")
    .split(" OR ")
    .map((each) => each.trim())

const classify = ({ name, version }: Locked, manifest: Manifest): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  const found = (severity: Finding["severity"], what: string) =>
    findings.push({ package: `${name}@${version}`, severity, what })
  const { deprecated, installed, installScripts, licence } = manifest
  if (!installed) found("info", "is in the lockfile but not installed on this platform")
  else if (licence === undefined) found("warning", "names no licence")
  else if (!alternatives(licence).some((each) => permissive.test(each))) {
    found(copyleft.test(licence) ? "critical" : "warning", `has the licence ${licence}`)
  }
  if (installScripts.length > 0) found("warning", `runs code at installation: ${installScripts.join(", ")}`)
  if (deprecated !== undefined) found("warning", `is deprecated: ${deprecated}`)
  return findings
}

const unreadable = ({ name, version }: Locked): Finding => ({
  package: `${name}@${version}`,
  severity: "critical",
  what: "has a manifest that cannot be read"
})

export const AuditHandlers = Audit.toLayer({
  read: Effect.fn("read")(function* ({ input, next }) {
    const packages = yield* ReadLockfile.call({ path: input.lockfile })
    return next.to(packages.length === 0 ? "decide" : "inspect", { packages })
  }),

  inspect: Effect.fn("inspect")(function* ({ input, next, state }) {
    const batch = state.packages.slice(state.inspected, state.inspected + batchSize)
    const results = yield* Effect.forEach(
      batch,
      (locked) =>
        ReadManifest.call({ lockfile: input.lockfile, path: locked.path }).pipe(
          Effect.map((manifest) => ({
            licence: manifest.licence ?? "none",
            findings: classify(locked, manifest)
          })),
          Effect.catchTag("ManifestUnreadable", () =>
            Effect.succeed({ licence: "unknown", findings: [unreadable(locked)] })
          )
        ),
      { concurrency: 4 }
    )
    const licences: { [licence: string]: number } = {}
    for (const { licence } of results)
      licences[licence] = (licences[licence] ?? state.licences[licence] ?? 0) + 1
    const inspected = state.inspected + batch.length
    return next.to(inspected < state.packages.length ? "inspect" : "decide", {
      inspected: batch.length,
      licences,
      findings: results.flatMap(({ findings }) => findings)
    })
  }),

  decide: ({ next, state }) => {
    const has = (severity: Finding["severity"]) =>
      state.findings.some((finding) => finding.severity === severity)
    const verdict = has("critical") ? "reject" : has("warning") ? "review" : "pass"
    return Effect.succeed(next.to("report", { verdict }))
  },

  report: Effect.fn("report")(function* ({ input, next, state }) {
    const verdict = state.verdict!
    yield* WriteReport.call({
      path: input.report,
      markdown: renderReport(input.lockfile, { ...state, verdict })
    })
    return next.end({
      verdict,
      packages: state.packages.length,
      findings: state.findings.length,
      report: input.report
    })
  })
})
