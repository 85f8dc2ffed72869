/**
 * How branches and fan-outs are named: the visit that fanned out, then the branch's number, from the outside in.
 */

/** The id of the branch that is the `index`-th of the fan-out made by a visit. */
export const branchId = (fanOut: string, index: number): string => `${fanOut}.${index}`
/** The id of the fan-out that a visit made. */
export const fanOutId = (branch: string, visit: number): string =>
  branch === "" ? `${visit}` : `${branch}/${visit}`
/** The branch that made a fan-out, by the fan-out's id. */
export const branchOfFanOut = (fanOut: string): string =>
  fanOut.slice(0, Math.max(0, fanOut.lastIndexOf("/")))
/** The number of a branch within its fan-out. */
export const indexOf = (branch: string): number => Number(branch.slice(branch.lastIndexOf(".") + 1))
/** The fan-out that a branch belongs to; `undefined` for the main line. */
export const fanOutOf = (branch: string): string | undefined =>
  branch === "" ? undefined : branch.slice(0, branch.lastIndexOf("."))
