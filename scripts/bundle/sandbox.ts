/** Runs a bundled script where only what browsers have is there. */
import { createContext, runInContext } from "node:vm"

const limitMillis = 10_000

/** Runs a script that defines `bundled.result` (a promise) and `bundled.expected`, and gives both. */
export const runInBrowserLike = async (script: string): Promise<{ result: unknown; expected: unknown }> => {
  const context = createContext({
    AbortController,
    AbortSignal,
    Event,
    EventTarget,
    MessageChannel,
    TextDecoder,
    TextEncoder,
    URL,
    clearInterval,
    clearTimeout,
    console,
    crypto,
    performance,
    queueMicrotask,
    setInterval,
    setTimeout,
    structuredClone
  })
  runInContext(script, context, { timeout: limitMillis })
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const error = new Error(`the bundled program was not done after ${limitMillis} ms`)
    timer = setTimeout(() => reject(error), limitMillis)
  })
  try {
    const { expected, result } = runInContext("bundled", context)
    return { expected, result: await Promise.race([result, late]) }
  } finally {
    clearTimeout(timer)
  }
}
