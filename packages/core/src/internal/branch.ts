/**
 * How branches and fan-outs are named: the visit that fanned out, then the branch's number, from the outside in.
 */

/** The id of the branch that is the `index`-th of the fan-out made by a visit. */
export const branchId = (fanOut: string, index: number): string => `${fanOut}.${index}`
/** The id of the fan-out that a visit made. */
export const fanOutId = (branch: string, visit: number): string =>
  branch === "" ? `${visit}` : `${branch}/${visit}`
/** The fan-out that a branch belongs to; `undefined` for the main line. */
export const fanOutOf = (branch: string): string | undefined =>
  branch === "" ? undefined : branch.slice(0, branch.lastIndexOf("."))
