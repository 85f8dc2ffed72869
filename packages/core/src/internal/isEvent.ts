import { Event } from "../Event.ts"
import { guardOf } from "./guard.ts"

/** Whether a value is an event as it is stored. */
export const isEvent: (value: unknown) => value is Event = /* @__PURE__ */ guardOf(Event)
