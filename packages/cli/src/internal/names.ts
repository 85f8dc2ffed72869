/**
 * Names that were perhaps meant.
 */

/** How many letters have to be changed, added or left out to make one text of another. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** At most three of the names that are so like the given one that it may be a slip. */
export const like = (name: string, known: Iterable<string>): ReadonlyArray<string> => {
  const most = Math.max(2, Math.floor(name.length / 4))
  const near: Array<{ readonly name: string; readonly distance: number }> = []
  for (const one of known) {
    if (Math.abs(one.length - name.length) > most) continue
    const far = distance(name.toLowerCase(), one.toLowerCase())
    // Of a short name not too much may be different.
    if (far <= most && far < one.length / 2) near.push({ name: one, distance: far })
  }
  return near
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map((one) => one.name)
}
