/**
 * The exit codes of the `waymark` command.
 *
 * @since 0.1.0
 */

/**
 * What the command ends with.
 *
 * - `success`: it did what it was asked for
 * - `unexpected`: a defect, in Waymark or in the code of a flow
 * - `usage`: it was not called as its help says
 * - `notFound`: there is no such run, flow, node, wait or store
 * - `invalid`: a value, a checkpoint or the configuration is not valid
 * - `refused`: the run, as it is, does not allow it
 * - `failed`, `cancelled`: the run that was waited for ended so
 * - `resting`: the run that was waited for waits for something or is paused
 * - `different`: what was checked is not as it should be (`verify`, `replay`, `check`, `doctor`)
 * - `store`: the store could not do what it was asked for
 * - `interrupted`, `terminated`: stopped by Ctrl-C or SIGTERM, in good order
 *
 * @category constants
 * @since 0.1.0
 */
export const ExitCode = {
  success: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  invalid: 4,
  refused: 5,
  failed: 6,
  cancelled: 7,
  resting: 8,
  different: 9,
  store: 10,
  interrupted: 130,
  terminated: 143
} as const
/**
 * One of the exit codes.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
