/** Carries the detail of an `IllegalEvent` out of the nested functions of the fold. */
export class Illegal extends Error {
  readonly _tag = "Illegal"
}

export const isIllegal = (error: unknown): error is Illegal =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "Illegal"

export const illegal = (detail: string): never => {
  throw new Illegal(detail)
}
