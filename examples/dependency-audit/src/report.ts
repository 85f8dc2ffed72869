import type { Finding, Locked } from "./audit.ts"

const headings = { critical: "Critical", warning: "To be looked at", info: "For information" } as const
const verdicts = {
  pass: "Nothing stands against it.",
  review: "Somebody should look at it.",
  reject: "It must not go out like this."
}

/** The report as Markdown. It holds nothing that a second run over the same packages would say differently. */
export const renderReport = (
  lockfile: string,
  result: {
    readonly packages: ReadonlyArray<Locked>
    readonly licences: { readonly [licence: string]: number }
    readonly findings: ReadonlyArray<Finding>
    readonly verdict: keyof typeof verdicts
  }
): string => {
  const lines = [
    "# Dependency audit",
    "",
    `${result.packages.length} packages of \`${lockfile}\`, ${result.findings.length} findings. **${result.verdict}**: ${verdicts[result.verdict]}`,
    "",
    "| licence | packages |",
    "| --- | ---: |"
  ]
  const licences = Object.entries(result.licences).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
  for (const [licence, count] of licences) lines.push(`| ${licence.replaceAll("|", "\\|")} | ${count} |`)
  for (const severity of ["critical", "warning", "info"] as const) {
    const findings = result.findings.filter((finding) => finding.severity === severity)
    if (findings.length === 0) continue
    lines.push("", `## ${headings[severity]}`, "")
    for (const finding of findings) lines.push(`- \`${finding.package}\` ${finding.what}`)
  }
  return `${lines.join("\n")}\n`
}
