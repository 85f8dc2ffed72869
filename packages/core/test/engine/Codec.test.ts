import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { Codec, CodecError } from "@waymark/core/Codec"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as State from "@waymark/core/State"
import { Store } from "@waymark/core/Store"
import * as Tool from "@waymark/core/Tool"
import * as Worker from "@waymark/core/Worker"
import { Busy, Echo, oneNode, program } from "./oneNode.ts"
import { idle, machine, type Program, type StoreService, until, untilStatus } from "./process.ts"

const { subtle } = globalThis.crypto

/** AES-GCM, bound to the run that a value belongs to. */
const encrypting = (secret: string): Codec => {
  const key = subtle
    .digest("SHA-256", new TextEncoder().encode(secret))
    .then((bytes) => subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]))
  const attempt = <A>(operation: "encode" | "decode", run: string, body: () => Promise<A>) =>
    Effect.tryPromise({
      try: body,
      catch: (cause) =>
        new CodecError({ codec: "aes-gcm", operation, run, detail: "it does not fit the key", cause })
    })
  return {
    name: "aes-gcm",
    encrypts: true,
    encode: (value, run) =>
      attempt("encode", run, async () => {
        const iv = globalThis.crypto.getRandomValues(new Uint8Array(12))
        const text = new TextEncoder().encode(JSON.stringify(value))
        const sealed = await subtle.encrypt(
          { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(run) },
          await key,
          text
        )
        return Buffer.concat([iv, new Uint8Array(sealed)]).toString("base64")
      }),
    decode: (value, run) =>
      attempt("decode", run, async () => {
        const bytes = new Uint8Array(Buffer.from(typeof value === "string" ? value : "", "base64"))
        const text = await subtle.decrypt(
          { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData: new TextEncoder().encode(run) },
          await key,
          bytes.slice(12)
        )
        return JSON.parse(new TextDecoder().decode(text)) as Schema.Json
      })
  }
}

const withCodec = (live: Program, secret = "open sesame"): Program =>
  live.pipe(Layer.provide(Layer.succeed(Codec, encrypting(secret))))

const Login = Tool.make("login", {
  input: { password: Schema.Redacted(Schema.String) },
  output: Schema.Struct({ token: Schema.Redacted(Schema.String) })
})

class Locked extends Schema.TaggedError<Locked>()("Locked", { reason: Schema.String }) {}

const secretive = Flow.make("secretive", {
  input: Schema.Struct({ password: Schema.Redacted(Schema.String) }),
  state: { token: State.optional(Schema.Redacted(Schema.String)), notes: State.list(Schema.String) },
  output: Schema.Struct({ token: Schema.Redacted(Schema.String), notes: Schema.Array(Schema.String) }),
  error: Locked,
  start: "login",
  nodes: { login: Node.make({ to: ["use"] }), use: Node.make({ to: ["end"], error: Locked }) }
})

const secretiveWorker = (world: { locked: boolean }) =>
  Worker.layer({ flows: [secretive] }).pipe(
    Layer.provide(
      secretive.toLayer({
        login: ({ input, next }) =>
          Effect.gen(function* () {
            const { token } = yield* Login.call({ password: input.password })
            return next.to("use", { token, notes: ["plain-but-private"] })
          }),
        use: ({ next, state }) =>
          world.locked
            ? Effect.fail(new Locked({ reason: "private-reason" }))
            : Effect.succeed(next.end({ token: state.token!, notes: state.notes }))
      })
    ),
    Layer.provide(
      Login.toLayer(({ password }) =>
        Effect.succeed({ token: Redacted.make(`token-for-${Redacted.value(password)}`) })
      )
    )
  )

const password = Redacted.make("hunter2")

describe("a codec that encrypts", () => {
  it.live(
    "keeps every value out of what is stored, and the run works as ever, in this process and the next",
    () =>
      Effect.gen(function* () {
        const world = { locked: true }
        const live = withCodec(secretiveWorker(world))
        const computer = machine()
        const first = yield* computer.boot(live)
        const run = yield* first.runs.start(secretive, { password }, { id: "r" })
        assert.deepStrictEqual(
          yield* Effect.flip(first.runs.await(run)),
          new Locked({ reason: "private-reason" })
        )
        yield* computer.crash
        const { runs, store } = yield* computer.boot(live)
        assert.deepStrictEqual(yield* Effect.flip(runs.await(run)), new Locked({ reason: "private-reason" }))
        world.locked = false
        yield* runs.retry(run, { edits: { notes: ["edited-and-private"] } })
        yield* untilStatus(runs, run, "completed")
        const output = yield* runs.await(run)
        assert.strictEqual(Redacted.value(output.token), "token-for-hunter2")
        assert.deepStrictEqual(output.notes, ["edited-and-private"])

        const lines = (yield* store.read("r")).map(({ line }) => line)
        const stored = JSON.stringify([lines, yield* store.get("r"), yield* store.inbox("r", {})])
        for (const secret of [
          "hunter2",
          "token-for",
          "private-reason",
          "plain-but-private",
          "edited-and-private"
        ]) {
          assert.notInclude(stored, secret)
        }
        // What tells where a run is stays readable.
        assert.include(stored, '\\"kind\\":\\"callStarted\\"')
        assert.include(stored, '\\"node\\":\\"login\\"')
        yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
        const state = yield* runs.state(run)
        assert.deepStrictEqual(state.notes, ["edited-and-private"])
      })
  )

  it.live("is asked for by flows with secrets, from workers and from clients", () =>
    Effect.gen(function* () {
      const computer = machine()
      const refused = yield* Effect.flip(computer.boot(secretiveWorker({ locked: false })))
      assert.strictEqual(refused._tag, "WorkerError")
      assert.include(refused.message, '"secretive"')
      const client = yield* computer.client
      const start = yield* Effect.flip(client.start(secretive, { password }))
      assert.strictEqual(start._tag, "InvalidValue")
      assert.include(start.message, "secretive")
      assert.notInclude(start.message, "hunter2")
      assert.deepStrictEqual((yield* client.list()).runs, [])
      const { runs } = yield* computer.boot(withCodec(secretiveWorker({ locked: true })))
      const run = yield* runs.start(secretive, { password })
      yield* Effect.flip(runs.await(run))
      const edit = yield* Effect.flip(client.retry(run, { edits: { token: Redacted.make("t") } }))
      assert.strictEqual(edit._tag, "CodecError")
      const fork = yield* Effect.flip(client.fork(run, 0, { edits: { token: Redacted.make("t") } }))
      assert.strictEqual(fork._tag, "CodecError")
    })
  )

  it.live("is asked for by tools with secrets, too", () =>
    Effect.gen(function* () {
      const computer = machine()
      const { runs, store } = yield* computer.boot(
        program(
          ({ next }) => Effect.as(Login.call({ password }), next.end(["x"])),
          Login.toLayer(() => Effect.succeed({ token: Redacted.make("t") }))
        )
      )
      const run = yield* runs.start(oneNode, {})
      const error = yield* Effect.flip(runs.await(run))
      assert.include(error.message, "login")
      assert.notInclude(JSON.stringify((yield* store.read(run.id)).map(({ line }) => line)), "hunter2")
    })
  )

  it.live("with another key cannot read a run, says so, and does nothing to it", () =>
    Effect.gen(function* () {
      const computer = machine()
      const live = secretiveWorker({ locked: false })
      const first = yield* computer.boot(withCodec(live))
      const done = yield* first.runs.start(secretive, { password })
      yield* first.runs.await(done)
      const client = yield* clientWith(computer.disk, "open sesame")
      yield* first.stop
      const pending = yield* client.start(secretive, { password }, { id: "pending" })
      const other = yield* computer.boot(withCodec(live, "wrong"))
      const error = yield* Effect.flip(other.runs.await(done))
      assert.strictEqual(error._tag, "CodecError")
      assert.include(error.message, done.id)
      assert.strictEqual((yield* Effect.flip(other.runs.state(done)))._tag, "CodecError")
      assert.deepStrictEqual(yield* computer.kinds(pending), ["created"])
      yield* other.stop
      yield* computer.boot(withCodec(live))
      assert.strictEqual(Redacted.value((yield* client.await(pending)).token), "token-for-hunter2")
    })
  )

  it.live(
    "that takes its time does not change the order of what is written",
    () =>
      Effect.gen(function* () {
        for (let round = 0; round < 20; round++) {
          const computer = machine()
          const live = withCodec(
            program(
              ({ next, state }) =>
                Effect.gen(function* () {
                  const got = yield* Effect.forEach(
                    ["a", "b", "c"],
                    (text) => Effect.orDie(Echo.call({ text })),
                    {
                      concurrency: "unbounded"
                    }
                  )
                  return state.got.length === 30 ? next.end(state.got) : next.to("work", { got })
                }),
              Echo.toLayer(({ text }) => Effect.as(Effect.sleep(Math.random() * 2), text))
            )
          )
          const { runs } = yield* computer.boot(live)
          const run = yield* runs.start(oneNode, {})
          // A cancel may come at any moment, together with whatever the run is writing.
          yield* Effect.sleep(round * 2)
          const how = yield* Effect.all(
            [runs.cancel(run, "a"), runs.cancel(run, "b"), runs.cancel(run, "c")],
            {
              concurrency: "unbounded"
            }
          )
          assert.strictEqual(new Set(how).size, 1)
          yield* Effect.provideService(Runs.verify(run), Runs.Runs, runs)
          const next = yield* runs.start(oneNode, {})
          assert.strictEqual((yield* runs.await(next)).length, 30, "the worker still listens")
        }
      }),
    300_000
  )

  it.effect(
    "that cannot seal a value, whatever is tried, does not have the calls before it made for ever",
    () =>
      Effect.gen(function* () {
        const flow = Flow.make("sealing", {
          input: {},
          start: "ask",
          maxRecoveries: 3,
          nodes: { ask: Node.make({ to: ["end"] }) }
        })
        let asked = 0
        const live = Worker.layer({ flows: [flow] }).pipe(
          Layer.provide(
            flow.toLayer({ ask: ({ next }) => Effect.as(Effect.orDie(Echo.call({ text: "x" })), next.end()) })
          ),
          Layer.provide(Echo.toLayer(() => Effect.sync(() => `answer ${++asked}`))),
          Layer.provide(
            Layer.succeed(Codec, {
              name: "picky",
              encrypts: false,
              encode: (value, run) =>
                typeof value === "string" && value.startsWith("answer")
                  ? Effect.fail(
                      new CodecError({ codec: "picky", operation: "encode", run, detail: "not this" })
                    )
                  : Effect.succeed(value),
              decode: (value) => Effect.succeed(value)
            })
          )
        )
        const computer = machine()
        const { runs } = yield* computer.boot(live)
        const run = yield* runs.start(flow, {})
        for (let second = 0; second < 20; second++) {
          yield* idle
          yield* TestClock.adjust("1 second")
        }
        yield* untilStatus(runs, run, "failed")
        const error = yield* Effect.flip(runs.await(run))
        assert.deepStrictEqual(error._tag === "RunFailed" ? error.failure : error, {
          kind: "recoveries",
          limit: 3
        })
        assert.strictEqual(asked, 4)
      })
  )

  it.effect("lets nothing come between a snapshot and the state that it is of", () =>
    Effect.gen(function* () {
      let sealing = 0
      let died = false
      const slow: Codec = {
        name: "slow",
        encrypts: false,
        encode: (value) => {
          const isHead = typeof value === "object" && value !== null && "channels" in value && "open" in value
          if (!isHead) return Effect.succeed(value)
          return Effect.suspend(() => {
            sealing += 1
            return Effect.as(Effect.sleep("1 second"), value)
          })
        },
        decode: (value) => Effect.succeed(value)
      }
      const live = program(({ next, state }) =>
        state.got.length === 100
          ? Effect.as(Effect.never, next.end([]))
          : Effect.succeed(next.to("work", { got: ["x".repeat(1000)] }))
      ).pipe(Layer.provide(Layer.succeed(Codec, slow)))
      const computer = machine()
      // The process dies when it is about to write that the run is cancelled.
      const dying = (store: StoreService): StoreService => ({
        ...store,
        append: (lease, expected, batch) =>
          batch.entries.some(({ event }) => event.kind === "cancelled")
            ? Effect.gen(function* () {
                yield* store.sync(lease)
                yield* computer.crash
                died = true
                return yield* Effect.never
              })
            : store.append(lease, expected, batch)
      })
      const { runs } = yield* computer.boot(live, { wrap: dying })
      const run = yield* runs.start(oneNode, {})
      yield* until(Effect.sync(() => sealing === 1))
      yield* Effect.forkChild(runs.cancel(run, "while the snapshot is sealed"))
      yield* idle
      yield* TestClock.adjust("1 second")
      yield* until(Effect.sync(() => died))
      const kinds = yield* computer.kinds(run)
      assert.include(kinds, "cancelRequested")
      assert.include(kinds, "snapshot")
      const { runs: later } = yield* computer.boot(live)
      yield* untilStatus(later, run, "cancelled")
    })
  )

  it.live("finds that a command in the inbox was not sealed with its key, and goes on with the others", () =>
    Effect.gen(function* () {
      const computer = machine()
      const world = { locked: true }
      const { runs } = yield* computer.boot(withCodec(secretiveWorker(world)))
      const run = yield* runs.start(secretive, { password })
      yield* Effect.flip(runs.await(run))
      yield* computer.send(run, "plain", {
        type: "retry",
        edits: { notes: { set: ["from somebody without the key"] } }
      })
      yield* until(Effect.map(computer.kinds(run), (kinds) => kinds.includes("commandIgnored")))
      world.locked = false
      yield* runs.retry(run)
      yield* untilStatus(runs, run, "completed")
      assert.deepStrictEqual((yield* runs.await(run)).notes, ["plain-but-private"])
    })
  )
})

describe("a codec that fails", () => {
  it.live(
    "does not lose the run: it goes on when the codec works again",
    () =>
      Effect.gen(function* () {
        const world = { broken: 2 }
        const flaky: Codec = {
          name: "flaky",
          encrypts: false,
          encode: (value, run) =>
            Effect.suspend(() =>
              value === "fragile" && world.broken-- > 0
                ? Effect.fail(new CodecError({ codec: "flaky", operation: "encode", run, detail: "not now" }))
                : Effect.succeed(value)
            ),
          decode: (value) => Effect.succeed(value)
        }
        let calls = 0
        const live = program(
          ({ next }) =>
            Effect.map(
              Effect.catchTag(Echo.call({ text: "x" }), "Busy", () => new Busy({ n: 1 })),
              (text) => next.end([text])
            ),
          Echo.toLayer(() => Effect.sync(() => (calls++, "fragile")))
        ).pipe(Layer.provide(Layer.succeed(Codec, flaky)))
        const { runs } = yield* machine().boot(live)
        assert.deepStrictEqual(yield* runs.execute(oneNode, {}), ["fragile"])
        assert.strictEqual(calls, 3)
      }),
    300_000
  )
})

const clientWith = (disk: MemoryStore.Disk, secret: string) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const store = yield* MemoryStore.make({ disk, flush: "onSync" })
    const context = yield* Layer.buildWithScope(
      Runs.layer.pipe(
        Layer.provide(Layer.succeed(Codec, encrypting(secret))),
        Layer.provide(Layer.succeed(Store, store))
      ),
      scope
    )
    return Context.get(context, Runs.Runs)
  })
