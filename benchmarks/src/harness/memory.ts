/**
 * What is in use after everything that is not was collected.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** Bytes of the heap that are in use. */
export const heapUsed = async (): Promise<number> => {
  collect()
  // What finalizers let go of, too.
  await new Promise((resume) => setImmediate(resume))
  collect()
  return process.memoryUsage().heapUsed
}
