/** Under which circumstances the scenarios of the engine are explored. */
export const variants = [
  { name: "pipelined", durability: "pipelined", nested: 6, latency: undefined },
  { name: "strict", durability: "strict", nested: 2, latency: undefined },
  { name: "ephemeral", durability: "ephemeral", nested: 2, latency: undefined },
  { name: "pipelined, on a slow disk", durability: "pipelined", nested: "none", latency: "1 millis" }
] as const
