/**
 * The rows of a store's run index.
 */
import * as Effect from "effect/Effect"
import type { RunInfo } from "@waymark/core/RunInfo"
import type { ListQuery, Store, StoreError } from "@waymark/core/Store"

/** All rows that a query finds, oldest first, whatever the size of a page. */
export const rowsOf = Effect.fnUntraced(function* (
  store: Store["Service"],
  query: ListQuery = {}
): Effect.fn.Return<ReadonlyArray<RunInfo>, StoreError> {
  const rows: Array<RunInfo> = []
  let cursor: string | undefined
  do {
    const page = yield* store.list({ ...query, order: "oldest", ...(cursor === undefined ? {} : { cursor }) })
    rows.push(...page.runs)
    cursor = page.cursor
  } while (cursor !== undefined)
  return rows
})
