/** How far the redo log that is written is synced: what the writer leaves for those who read. */

/** Of one length, so that one overwrites another whole; said twice, so that half of one is told from a whole. */
export const formatMark = (log: number, end: number): string => {
  const text = `${log} ${end}`
  return `${text} ${text}`.padEnd(79, " ") + "\n"
}

export const parseMark = (text: string): { readonly log: number; readonly end: number } | undefined => {
  const [log, end, logAgain, endAgain] = text.trim().split(" ")
  return log === logAgain && end === endAgain && log !== undefined && end !== undefined
    ? { log: Number(log), end: Number(end) }
    : undefined
}
