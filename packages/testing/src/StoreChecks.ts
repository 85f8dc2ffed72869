/**
 * The checks of the conformance suite, one for each promise of the `Store` port, as plain effects: for running them
 * outside of Vitest, and for showing that a check can fail.
 *
 * @since 0.1.0
 */
import { appendChecks } from "./internal/storeChecks/append.ts"
import { changesChecks } from "./internal/storeChecks/changes.ts"
import { createChecks } from "./internal/storeChecks/create.ts"
import { deleteChecks } from "./internal/storeChecks/delete.ts"
import { dueChecks } from "./internal/storeChecks/due.ts"
import { elsewhereChecks } from "./internal/storeChecks/elsewhere.ts"
import { enduranceChecks } from "./internal/storeChecks/endurance.ts"
import { feedChecks } from "./internal/storeChecks/feed.ts"
import { idChecks } from "./internal/storeChecks/ids.ts"
import { inboxChecks } from "./internal/storeChecks/inbox.ts"
import { leaseChecks } from "./internal/storeChecks/lease.ts"
import { listChecks } from "./internal/storeChecks/list.ts"
import { modelChecks } from "./internal/storeChecks/model.ts"
import { pageChecks } from "./internal/storeChecks/pages.ts"
import { readChecks } from "./internal/storeChecks/read.ts"
import { syncChecks } from "./internal/storeChecks/sync.ts"
import { valueChecks } from "./internal/storeChecks/values.ts"
import type { Check } from "./StoreHarness.ts"

/**
 * All checks, in the order of the port.
 *
 * @category checks
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check> = [
  ...createChecks,
  ...appendChecks,
  ...syncChecks,
  ...leaseChecks,
  ...readChecks,
  ...pageChecks,
  ...listChecks,
  ...dueChecks,
  ...feedChecks,
  ...changesChecks,
  ...inboxChecks,
  ...elsewhereChecks,
  ...deleteChecks,
  ...valueChecks,
  ...idChecks,
  ...enduranceChecks,
  ...modelChecks
]

/**
 * The check of this name. It throws if there is none.
 *
 * @category checks
 * @since 0.1.0
 */
export const named = (name: string): Check => {
  const found = checks.find((check) => check.name === name)
  if (found === undefined)
    throw new RangeError(`there is no check ${JSON.stringify(name)} in the store suite`)
  return found
}
