/** What the kit makes of what only the compiler would have refused: each of these would pass, or break later on. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Flow from "@waymark/core/Flow"
import * as MemoryStore from "@waymark/core/MemoryStore"
import * as Node from "@waymark/core/Node"
import * as Runs from "@waymark/core/Runs"
import * as Tool from "@waymark/core/Tool"
import * as CrashExplorer_ from "../src/CrashExplorer.ts"
import * as CrashStore_ from "../src/CrashStore.ts"
import * as FakeTools_ from "../src/FakeTools.ts"
import * as Faults_ from "../src/Faults.ts"
import * as FaultSuite_ from "../src/FaultSuite.ts"
import * as JournalBuilder_ from "../src/JournalBuilder.ts"
import * as JournalSnapshot_ from "../src/JournalSnapshot.ts"
import * as PowerLossFileSystem_ from "../src/PowerLossFileSystem.ts"
import * as RecordedStore_ from "../src/RecordedStore.ts"
import * as ReplaySuite_ from "../src/ReplaySuite.ts"
import * as RunToTest_ from "../src/RunToTest.ts"
import * as StoreChecks from "../src/StoreChecks.ts"
import * as StoreSuite_ from "../src/StoreSuite.ts"
import * as TestRuntime_ from "../src/TestRuntime.ts"

/** As JavaScript sees it. */
const untyped = (module: object): any => module
const CrashExplorer = untyped(CrashExplorer_)
const CrashStore = untyped(CrashStore_)
const FakeTools = untyped(FakeTools_)
const Faults = untyped(Faults_)
const FaultSuite = untyped(FaultSuite_)
const JournalBuilder = untyped(JournalBuilder_)
const JournalSnapshot = untyped(JournalSnapshot_)
const PowerLossFileSystem = untyped(PowerLossFileSystem_)
const RecordedStore = untyped(RecordedStore_)
const ReplaySuite = untyped(ReplaySuite_)
const RunToTest = untyped(RunToTest_)
const StoreSuite = untyped(StoreSuite_)
const TestRuntime = untyped(TestRuntime_)

const Search = Tool.make("search", { input: { query: Schema.String }, output: Schema.Int })
const Other = Tool.make("other", { input: {} })
const Work = Flow.make("work", {
  input: Schema.Void,
  start: "search",
  nodes: { search: Node.make({ to: ["end"] }) }
})
const WorkHandlers = Work.toLayer({
  search: ({ next }) => Effect.as(Search.call({ query: "x" }), next.end())
})
const one = FakeTools.succeed(1)
const handlers = Layer.provide(
  WorkHandlers,
  FakeTools_.make(FakeTools_.always(Search, FakeTools_.succeed(1))).layer
)

type Case = readonly [what: string, run: () => unknown, message: RegExp | string]

/** Each of them throws, or dies when it is executed. */
const refuses = (cases: ReadonlyArray<Case>): void => {
  for (const [what, run, message] of cases) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(
          Effect.suspend(() => {
            const result = run()
            return Effect.isEffect(result)
              ? (result as Effect.Effect<unknown, unknown>)
              : Effect.succeed(result)
          })
        )
        assert.isTrue(Exit.isFailure(exit), "it is refused")
        const thrown = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(thrown, Error)
        if (typeof message === "string") assert.strictEqual(thrown.message, message)
        else assert.match(thrown.message, message)
      })
    )
  }
}

const memory = {
  name: "memory",
  place: Effect.sync(MemoryStore.makeDisk),
  layer: (disk: MemoryStore.Disk) => MemoryStore.layer({ disk }),
  capabilities: {
    several: true,
    reopen: true,
    crash: (disk: MemoryStore.Disk) => Effect.sync(disk.cutPower),
    lapse: (disk: MemoryStore.Disk, owner: string) => Effect.sync(() => disk.lapse(owner)),
    failWrites: { missing: "memory does not fail" },
    leaseMillis: { missing: "leases in memory do not run out with time" },
    newerFormat: { missing: "memory has no format" }
  }
}
const { capabilities, ...withoutCapabilities } = memory

describe("the store suite refuses", () => {
  refuses([
    ["no options", () => StoreSuite.suite(), /^StoreSuite\.suite: the options must be an object with name,/],
    [
      "no capabilities",
      () => StoreSuite.suite(withoutCapabilities),
      "StoreSuite.suite: `capabilities` is missing; it must be an object that says of several, reopen, crash, lapse, failWrites, leaseMillis, newerFormat how it is done, or why it is missing"
    ],
    [
      "a capability that is not mentioned",
      () => StoreSuite.suite({ ...memory, capabilities: { ...capabilities, crash: undefined } }),
      'StoreSuite.suite: `capabilities.crash` is missing; it must be a function that gives an Effect, or { missing: "the reason" }'
    ],
    [
      "a capability that is denied without a reason",
      () => StoreSuite.suite({ ...memory, capabilities: { ...capabilities, several: false } }),
      /`capabilities\.several` is false; it must be true, or \{ missing: "the reason" \}/
    ],
    [
      "a capability that is none",
      () => StoreSuite.suite({ ...memory, capabilities: { ...capabilities, crahs: () => {} } }),
      /`capabilities\.crahs` is not known; it can be several, reopen, crash,/
    ],
    [
      "options that are none, and a wrong one, at once",
      () => StoreSuite.suite({ ...memory, skips: {}, timeout: "30 s" }),
      /^StoreSuite\.suite:\n- `timeout` is "30 s"; it must be a whole number from 1\n- `skips` is not known;/
    ],
    [
      "a skip of one check without an object",
      () => StoreSuite.suite({ ...memory, skip: ["append: …"] }),
      /`skip` is \["append: …"\]; it must be an object with a reason for each name/
    ],
    [
      "no layer",
      () => StoreSuite.suite({ ...memory, layer: MemoryStore }),
      /`layer` is .*it must be a layer/
    ],
    [
      "a harness without capabilities, where one check is executed",
      () => StoreChecks.checks[0]!.run(withoutCapabilities as never),
      /`capabilities` is missing/
    ]
  ])
})

const machine = { name: "s", machine: () => ({}), reboot: () => {}, open: () => Effect.never }

describe("the fault suite refuses", () => {
  refuses([
    [
      "options that are missing or none",
      () => FaultSuite.suite({ name: "s", machine: () => ({}), open: () => Effect.never, sample: 3 }),
      /^FaultSuite\.suite:\n- `reboot` is missing; it must be a function\n- `sample` is not known/
    ],
    [
      "no trials",
      () => FaultSuite.suite({ ...machine, samples: 0 }),
      /`samples` is 0; it must be a whole number/
    ],
    ["no trials of one fault", () => FaultSuite.explore(machine, FaultSuite.sorts[0], 0), /`samples` is 0/],
    ["what is no store", () => FaultSuite.explore({}, FaultSuite.sorts[0]), /- `open` is missing; it must be/]
  ])
})

describe("fake tools refuse", () => {
  const always = FakeTools.always(Search, one)
  const tools = FakeTools.make(always)
  refuses([
    [
      "a value instead of a reply",
      () => FakeTools.always(Search, 3),
      "FakeTools.always: `reply` is 3; it must be a reply, such as FakeTools.succeed(output), FakeTools.fail(error), FakeTools.ok"
    ],
    ["no reply", () => FakeTools.always(Search), /^FakeTools\.always: `reply` is missing/],
    [
      "something like a reply",
      () => FakeTools.always(Search, { _tag: "Success", output: 3 }),
      /`reply` is \{/
    ],
    [
      "an Effect as what is always replied",
      () => FakeTools.always(Search, Effect.succeed(3)),
      /`reply` is an Effect/
    ],
    ["the name of a tool", () => FakeTools.always("search", one), /`tool` is "search"; it must be a tool/],
    ["no script", () => FakeTools.script(Search), /^FakeTools\.script: `replies\[0\]` is missing/],
    ["a list as a script", () => FakeTools.script(Search, [one]), /`replies\[0\]` is \[/],
    [
      "nothing to cycle through",
      () => FakeTools.cycle(Search),
      /^FakeTools\.cycle: `replies\[0\]` is missing/
    ],
    ["a reply as an answer", () => FakeTools.answer(Search, one), /`respond` is .*; it must be a function/],
    [
      "a try without a reply",
      () => FakeTools.expecting(Search, { input: {}, replies: one }),
      /`tries\[0\]\.reply` is missing[^]*`tries\[0\]\.replies` is not known/
    ],
    ["no tool to refuse", () => FakeTools.refuse(), /^FakeTools\.refuse: `tool` is missing/],
    [
      "no fake to undo",
      () => FakeTools.undo(Search, () => FakeTools.ok),
      /`fake` is a function; it must be a fake/
    ],
    [
      "no duration",
      () => FakeTools.after("2 sec", one),
      /^FakeTools\.after: `delay` is "2 sec"; it must be a duration/
    ],
    ["no reply after a while", () => FakeTools.after(5, 3), /^FakeTools\.after: `reply` is 3/],
    ["no delay", () => FakeTools.delayed(always, "soon"), /^FakeTools\.delayed: `delay` is "soon"/],
    [
      "a plan that says nothing",
      () => FakeTools.failing(Search, always, { with: one, frist: 3 }),
      /`frist` is not known[^]*the plan must say one of first, every, chance, and says none/
    ],
    [
      "a plan that says two things",
      () => FakeTools.failing(Search, always, { with: one, first: 1, every: 2 }),
      /says first and every/
    ],
    [
      "a probability that is none",
      () => FakeTools.failing(Search, always, { with: one, chance: 50 }),
      /`chance` is 50; it must be a number from 0 to 1/
    ],
    [
      "a failure that is no reply",
      () => FakeTools.failing(Search, always, { with: new Error("x"), first: 1 }),
      /`with` is/
    ],
    [
      "options of generated replies that are none",
      () => FakeTools.generated(Search, { failure: 0.5 }),
      /`failure` is not known/
    ],
    [
      "options of arbitrary replies that are none",
      () => FakeTools.arbitraryReplies(Search, { failures: 0.5 }),
      /`failures` is 0\.5; it must be true or false/
    ],
    [
      "a recording that is none",
      () => FakeTools.recorded(Search, "run.jsonl"),
      /`source` is "run\.jsonl"; it must be a list/
    ],
    [
      "a recorded try without an end",
      () => FakeTools.recorded(Search, [{ input: {}, result: 1 }]),
      /`source\[0\]` is .*; it must be an event, or a try/
    ],
    ["a list of fakes", () => FakeTools.make([always]), /^FakeTools\.make: `fakes\[0\]` is \[/],
    [
      "expectations of a name",
      () => tools.expectNotCalled("search"),
      /^expectNotCalled: `tool` is "search"; it must be a tool/
    ],
    ["expectations of a tool that is undefined", () => tools.expectNotCalled(undefined), /`tool` is missing/],
    [
      "expectations of a tool of which there is no fake",
      () => tools.expectNotCalled(Other),
      "expectNotCalled: there is no fake of tool other here, so its calls are not seen; there are fakes of search"
    ],
    [
      "expectations of how it was called that are none",
      () => tools.expectCalled(Search, { time: 2 }),
      /^expectCalled: `time` is not known; it can be times or with/
    ],
    ["no order", () => tools.expectOrder(), /^expectOrder: `tool` is missing/],
    ["a list as an order", () => tools.expectOrder([Search]), /^expectOrder: `tool` is \[/],
    [
      "inputs that are no list",
      () => tools.expectInputs(Search, { query: "x" }),
      /^expectInputs: `inputs` is/
    ],
    ["calls of a tool that is undefined", () => tools.calls(undefined), /^calls: `tool` is missing/],
    ["undos of a name", () => tools.undos("search"), /^undos: `tool` is "search"/],
    ["inputs of a name", () => tools.inputs("search"), /^inputs: `tool` is "search"/]
  ])

  it.effect("an answer that is no reply, when it is given", () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Work, undefined)
      const failure = yield* TestRuntime_.expectFailed(run)
      assert.include(
        JSON.stringify(failure),
        "FakeTools.answer: tool search: `what it was answered` is 7; it must be a reply"
      )
    }).pipe(
      Effect.provide(
        TestRuntime_.layer({
          flows: [Work],
          handlers: Layer.provide(
            WorkHandlers,
            FakeTools_.make(FakeTools_.answer(Search, () => 7 as never)).layer
          )
        })
      )
    )
  )
})

describe("the runtime for tests refuses", () => {
  const within = (body: (run: Runs.Run<typeof Work>) => unknown) => () =>
    Effect.gen(function* () {
      const runs = yield* Runs.Runs
      const run = yield* runs.start(Work, undefined)
      return yield* body(run) as Effect.Effect<void>
    }).pipe(Effect.provide(TestRuntime_.layer({ flows: [Work], handlers })))
  const using = (use: (runtime: any) => unknown) =>
    within(() => Effect.flatMap(TestRuntime_.TestRuntime, (runtime) => use(runtime) as Effect.Effect<void>))
  const build = (options: unknown) => () => Effect.scoped(Layer.build(TestRuntime.layer(options)))
  refuses([
    [
      "another word for a restart",
      using(({ restart }) => restart("kill")),
      'TestRuntime: restart: `how` is "kill"; it must be "drain" or "crash"'
    ],
    [
      "no word for a stop",
      using(({ stop }) => stop()),
      'TestRuntime: stop: `how` is missing; it must be "drain" or "crash"'
    ],
    [
      "flows that are no list",
      build({ flows: Work, handlers }),
      /^TestRuntime\.layer: `flows` is the flow work; it must be a list of flows/
    ],
    ["no handlers", build({ flows: [Work] }), /`handlers` is missing; it must be a layer/],
    ["options that are none", build({ flows: [Work], handlers, clock: 3 }), /`clock` is not known/],
    [
      "a flush that is none",
      build({ flows: [Work], handlers, flush: "never" }),
      /`flush` is "never"; it must be "onSync" or "background"/
    ],
    [
      "options of the worker that are none",
      build({ flows: [Work], handlers, worker: { sweeps: 3 } }),
      /`worker` is .*; it must be an object with options of Worker\.layer: takesUp,/
    ],
    [
      "no run",
      within(() => TestRuntime.expectCompleted()),
      /^TestRuntime\.expectCompleted: `run` is missing/
    ],
    [
      "a run that was not started",
      within(() => TestRuntime.expectCompleted(Effect.succeed("r"))),
      /`run` is an Effect \(is a `yield\*` missing\?\); it must be a run/
    ],
    ["a timeline of no run", within(() => TestRuntime.timeline({})), /^TestRuntime\.timeline: `run` is/],
    [
      "an expected timeline without lines",
      within((run) => TestRuntime.expectTimeline(run, [])),
      /^TestRuntime\.expectTimeline: `expected` is \[\]/
    ],
    [
      "an expected timeline that is one text",
      within((run) => TestRuntime.expectTimeline(run, "search")),
      /`expected` is "search"; it must be a list/
    ],
    [
      "a failure that is no tag",
      within((run) => TestRuntime.expectFailed(run, Error)),
      /`tag` is a function/
    ],
    ["a wait that is no name", within((run) => TestRuntime.expectWaiting(run, { name: "x" })), /`name` is/],
    ["no wait to advance to", within((run) => TestRuntime.advanceToWait(run)), /`name` is missing/],
    [
      "how often to wait, in other words",
      within((run) => TestRuntime.advanceToWait(run, "x", { times: 2 })),
      /`times` is not known; it can be nth/
    ]
  ])

  it.effect("nothing: a pattern that is global is looked for from the beginning each time", () => {
    const pattern = /^started/g
    return within((run) =>
      Effect.andThen(TestRuntime_.expectTimeline(run, [pattern]), TestRuntime_.expectTimeline(run, [pattern]))
    )()
  })
})

describe("the crash explorer refuses", () => {
  const explore =
    (options: object, flows: unknown = Work) =>
    () =>
      CrashExplorer.explore(flows, { handlers, input: undefined, nested: "none", ...options })
  refuses([
    [
      "another word for nested",
      explore({ nested: "some" }),
      'CrashExplorer.explore: `nested` is "some"; it must be "all", "none" or a whole number from 0'
    ],
    ["a number of nested cuts that is none", explore({ nested: -1 }), /`nested` is -1/],
    [
      "an option that is none",
      explore({ checks: {} }),
      /`checks` is not known; it can be handlers, scenario,/
    ],
    [
      "no handlers",
      explore({ handlers: undefined }),
      /`handlers` is missing; it must be a layer or a function/
    ],
    ["no flow", explore({}, "work"), /`flows` is "work"; it must be a flow/],
    ["no flows", explore({}, []), /`flows` is \[\]/],
    [
      "several flows without a scenario",
      explore({}, [Work, Work]),
      /`scenario` is missing; with several flows/
    ],
    [
      "a scenario and an input",
      explore({ input: {}, scenario: () => Effect.void }),
      /`scenario` and `input` exclude each other/
    ],
    [
      "a world that is there already",
      explore({ world: FakeTools.make() }),
      /`world` is .*; it must be a function/
    ],
    ["a world that is promised", explore({ world: async () => ({}) }), /`world` gave a Promise/],
    [
      "a check that is none",
      explore({ check: { done: true } }),
      /`check` is .*; it must be a function, or an object of functions/
    ],
    ["a crash point that is none", explore({ only: 3 }), /`only` is 3/],
    [
      "a duration that is none",
      explore({ timeLimit: "long" }),
      /`timeLimit` is "long"; it must be a duration/
    ]
  ])

  const problems = (options: object) =>
    Effect.map(
      Effect.flip(explore(options)() as Effect.Effect<unknown, CrashExplorer_.CrashPointFailed>),
      (error) => error.problems.join("\n")
    )

  it.effect("a check that is asynchronous, or gives something else than an answer", () =>
    Effect.gen(function* () {
      assert.include(
        yield* problems({
          check: async () => {}
        }),
        "the check does not hold: it gave a Promise; a check gives true or false"
      )
      assert.include(
        yield* problems({ check: { "is called": () => 0 } }),
        "is called: it gave 0; a check gives true or false"
      )
      assert.include(yield* problems({ check: () => Effect.succeed("no") }), 'it gave "no"')
    })
  )

  it.effect("a scenario that is asynchronous", () =>
    Effect.gen(function* () {
      assert.include(
        yield* problems({ scenario: async () => {} }),
        "`scenario` gave a Promise; it has to give an Effect"
      )
    })
  )
})

describe("stores and file systems that fail refuse", () => {
  const disk = MemoryStore.makeDisk()
  const power = PowerLossFileSystem.makeDisk()
  refuses([
    [
      "no disk",
      () => CrashStore.make({}),
      /^CrashStore\.make: `disk` is missing; it must be a disk, as MemoryStore\.makeDisk gives it/
    ],
    [
      "another word for when",
      () => CrashStore.make({ disk, cutAt: { point: 1, when: "befor" } }),
      'CrashStore.make: `cutAt.when` is "befor"; it must be "before" or "after"'
    ],
    [
      "a point that is none",
      () => CrashStore.make({ disk, cutAt: { point: 0, when: "after" } }),
      /`cutAt\.point` is 0/
    ],
    ["an option of a store that is none", () => CrashStore.make({ disk, cut: 3 }), /`cut` is not known/],
    [
      "an error that is none",
      () => Faults.fail("ENOSPACE"),
      /^Faults\.fail: `code` is "ENOSPACE"; it must be the system's name of an error/
    ],
    [
      "an operation before the first",
      () => Faults.at(0, Faults.io),
      /^Faults\.at: `k` is 0; it must be a whole number from 1/
    ],
    ["no fault", () => Faults.at(1, "EIO"), /`fault` is "EIO"; it must be a fault/],
    [
      "an option of a rule that is none",
      () => Faults.at(1, Faults.io, { time: 3 }),
      /`time` is not known; it can be of or times/
    ],
    [
      "an option of what is always so that is none",
      () => Faults.always(Faults.io, { on: () => true }),
      /`on` is not known; it can be of/
    ],
    [
      "a rate in per cent",
      () => Faults.seeded(1, { rate: 10, faults: [Faults.io] }),
      /`rate` is 10; it must be a number from 0 to 1/
    ],
    ["no faults", () => Faults.seeded(1, { rate: 0.1, faults: [] }), /`faults` is \[\]/],
    [
      "a rule that stands alone",
      () => Faults.make(Faults.at(1, Faults.io)),
      /^Faults\.make: `rules` is .*; it must be a list of rules/
    ],
    ["faults instead of rules", () => Faults.make([Faults.io]), /`rules\[0\]` is .*; it must be a rule/],
    ["another plan that is none", () => Faults.make([]).use(Faults.io), /^Faults: use: `rules` is/],
    ["bytes that are no number", () => Faults.tornWrite("3"), /^Faults\.tornWrite: `bytes` is "3"/],
    ["a bit that is no number", () => Faults.flipBit(), /^Faults\.flipBit: `bit` is missing/],
    ["a delay that is none", () => Faults.delay("soon"), /^Faults\.delay: `duration` is "soon"/],
    ["a call before the first", () => power.cutPowerAt(0), /cutPowerAt: `k` is 0/],
    [
      "another word for survival",
      () => power.reboot({ data: "lost", entries: "kept" }),
      /reboot: `data` is "lost"; it must be "dropped", "kept" or \{ torn: a number of bytes \}/
    ],
    ["half a survival", () => power.surviving({ data: "kept" }), /surviving: `entries` is missing/],
    ["a seed that is none", () => power.reboot({ seed: "x" }), /`seed` is "x"/],
    ["a failure that is none", () => power.failAt(1, "ENOSPACE"), /failAt: `failure` is "ENOSPACE"/],
    [
      "failures that are no function",
      () => power.failWhen("EIO"),
      /failWhen: `failure` is "EIO"; it must be a function/
    ]
  ])
})

describe("journals refuse", () => {
  refuses([
    ["a run without a name", () => JournalBuilder.make(), /^JournalBuilder\.make: `run` is missing/],
    [
      "an option of a journal that is none",
      () => JournalBuilder.make("r", { start: 3 }),
      /`start` is not known; it can be time/
    ],
    [
      "no steps",
      () => Effect.map(JournalBuilder_.make("r"), (journal) => (journal as any).batch()),
      /batch: `steps\[0\]` is missing/
    ],
    [
      "a list of steps",
      () =>
        Effect.map(JournalBuilder_.make("r"), (journal) =>
          (journal as any).batch([JournalBuilder.created()])
        ),
      /batch: `steps\[0\]` is \[/
    ],
    [
      "what is no list of events",
      () => JournalSnapshot.render([{ event: {} }]),
      /^JournalSnapshot\.render: `events` is/
    ],
    [
      "one text instead of lines",
      () => RecordedStore.make("{}\n{}"),
      /^RecordedStore\.make: `lines` is .*; it must be the lines of journals/
    ],
    [
      "an option of a recording that is none",
      () => Effect.provide(RecordedStore.record("r", { only: true }), MemoryStore.layer()),
      /`only` is not known; it can be alone/
    ],
    [
      "one text instead of lines to replay",
      () => ReplaySuite.check("{}", { flows: [Work], handlers }),
      /^ReplaySuite\.check: `lines` is/
    ],
    [
      "nothing to replay against",
      () => ReplaySuite.check([], { flow: Work, handlers }),
      /`flows` is missing[^]*`flow` is not known/
    ],
    [
      "no folder",
      () => ReplaySuite.suite({ flows: [Work], handlers }),
      /^ReplaySuite\.suite: `folder` is missing; it must be the path of a folder, or its URL/
    ],
    [
      "no folder to record to",
      () => Effect.provide(ReplaySuite.record("r", {}), MemoryStore.layer()),
      /^ReplaySuite\.record: `folder` is missing/
    ],
    [
      "no modules",
      () =>
        Effect.provide(
          RunToTest.generate("r", { module: {} }),
          Layer.provide(Runs.layer, MemoryStore.layer())
        ),
      /^RunToTest\.generate:\n- `modules` is missing/
    ]
  ])
})
