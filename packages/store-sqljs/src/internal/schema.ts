/**
 * What the database holds (format 1).
 *
 * The tables have names in the singular and are the store's own:
 *
 * - `run`: a row for each run. `info` is the row of the run index as JSON; the columns beside it are those that lists are
 *   filtered and ordered by. `run_key` is the id in UTF-16, whose bytes are in code-unit order
 * - `event`: the journals. `line` is byte for byte what the hash of the next entry is over; `id` grows in the order in
 *   which entries became durable, over all runs, and is never given twice
 * - `tag`, `attribute`, `bookmark`: what runs are found by, in the order in which they are listed
 * - `run_text`: the inputs and errors of runs, for searching
 * - `command`: the inboxes of runs, each command at its position
 * - `meta`, `artifact`: named values, and bytes by their SHA-256
 * - `store`: the format; `generation`, the first redo log that is not in here
 *
 * The views `runs`, `checkpoints`, `tool_calls` and `events` are for people.
 */
export const formatVersion = 1

export const tables = `
CREATE TABLE store (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run TEXT NOT NULL UNIQUE,
  run_key BLOB NOT NULL,
  flow TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at REAL NOT NULL,
  session TEXT,
  correlation TEXT,
  parent TEXT,
  fork_of TEXT,
  due REAL,
  outbox INTEGER NOT NULL,
  commands_before INTEGER NOT NULL,
  commands INTEGER NOT NULL,
  unhandled INTEGER NOT NULL,
  lease_epoch INTEGER NOT NULL,
  owner TEXT,
  crashed INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  head TEXT NOT NULL,
  info TEXT NOT NULL
);
CREATE INDEX runs_by_creation ON run (created_at, run_key);
CREATE INDEX runs_by_status ON run (status, created_at, run_key);
CREATE INDEX runs_by_flow ON run (flow, created_at, run_key);
CREATE INDEX runs_by_session ON run (session, created_at, run_key) WHERE session IS NOT NULL;
CREATE INDEX runs_by_correlation ON run (correlation, created_at, run_key) WHERE correlation IS NOT NULL;
CREATE INDEX runs_by_parent ON run (parent, created_at, run_key) WHERE parent IS NOT NULL;
CREATE INDEX runs_by_origin ON run (fork_of, created_at, run_key) WHERE fork_of IS NOT NULL;
CREATE INDEX runs_by_due ON run (due, run_key) WHERE due IS NOT NULL;
CREATE INDEX runs_sending ON run (created_at, run_key) WHERE outbox > 0;
CREATE INDEX runs_commanded ON run (created_at, run_key) WHERE unhandled > 0;
CREATE INDEX runs_owned ON run (owner) WHERE owner IS NOT NULL;

CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id INTEGER NOT NULL REFERENCES run (id),
  seq INTEGER NOT NULL,
  line TEXT NOT NULL
);
CREATE UNIQUE INDEX events_of_run ON event (run_id, seq);

CREATE TABLE tag (
  tag TEXT, created_at REAL, run_key BLOB, run_id INTEGER,
  PRIMARY KEY (tag, created_at, run_key)
) WITHOUT ROWID;
CREATE INDEX tags_of_run ON tag (run_id);
CREATE TABLE attribute (
  name TEXT, value TEXT, created_at REAL, run_key BLOB, run_id INTEGER,
  PRIMARY KEY (name, value, created_at, run_key)
) WITHOUT ROWID;
CREATE INDEX attributes_of_run ON attribute (run_id);
CREATE TABLE bookmark (
  name TEXT, created_at REAL, run_key BLOB, run_id INTEGER,
  PRIMARY KEY (name, created_at, run_key)
) WITHOUT ROWID;
CREATE INDEX bookmarks_of_run ON bookmark (run_id);
CREATE VIRTUAL TABLE run_text USING fts4 (input, error, tokenize=unicode61, order=DESC);

CREATE TABLE command (
  run_id INTEGER NOT NULL REFERENCES run (id),
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run_id, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX command_by_id ON command (run_id, id);

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE artifact (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL);
`

const time = (milliseconds: string): string =>
  `strftime('%Y-%m-%dT%H:%M:%fZ', ${milliseconds} / 1000.0, 'unixepoch')`

/** For people with a SQLite program. `run` is the id, `seq` the position in the journal; times are ISO 8601. */
export const views = `
CREATE VIEW runs AS
SELECT
  r.run,
  r.flow,
  json_extract(r.info, '$.version') AS version,
  r.status,
  json_extract(r.info, '$.node') AS node,
  json_extract(r.info, '$.steps') AS steps,
  ${time("r.created_at")} AS created_at,
  ${time("json_extract(r.info, '$.updatedAt')")} AS updated_at,
  ${time("json_extract(r.info, '$.endedAt')")} AS ended_at,
  ${time("r.due")} AS due,
  json_extract(r.info, '$.error.tag') AS error,
  json_extract(r.info, '$.error.message') AS error_message,
  r.session,
  r.correlation,
  r.parent,
  r.fork_of,
  r.seq
FROM run r;

CREATE VIEW events AS
SELECT
  r.run,
  e.seq,
  json_extract(e.line, '$.kind') AS kind,
  ${time("json_extract(e.line, '$.time')")} AS time,
  json_extract(e.line, '$.node') AS node,
  json_extract(e.line, '$.branch') AS branch,
  e.line
FROM event e JOIN run r ON r.id = e.run_id;

CREATE VIEW checkpoints AS
SELECT
  r.run,
  e.seq,
  ${time("json_extract(e.line, '$.time')")} AS time,
  json_extract(e.line, '$.kind') AS kind,
  json_extract(e.line, '$.node') AS node,
  json_extract(e.line, '$.branch') AS branch,
  json_extract(e.line, '$.attempt') AS attempt,
  json_extract(e.line, '$.next') AS next
FROM event e JOIN run r ON r.id = e.run_id
WHERE json_extract(e.line, '$.kind') IN ('created', 'forked', 'visited', 'visitFailed', 'branchFailed', 'joined');

CREATE VIEW tool_calls AS
SELECT
  r.run,
  e.seq,
  ${time("json_extract(e.line, '$.time')")} AS time,
  json_extract(e.line, '$.tool') AS tool,
  json_extract(e.line, '$.kind') AS kind,
  json_extract(e.line, '$.call') AS call,
  json_extract(e.line, '$.attempt') AS attempt,
  json_extract(e.line, '$.key') AS key,
  json_extract(e.line, '$.input') AS input,
  json_extract(e.line, '$.output') AS output,
  json_extract(e.line, '$.error') AS error
FROM event e JOIN run r ON r.id = e.run_id
WHERE json_extract(e.line, '$.kind') IN ('callStarted', 'callRetried', 'callCompleted', 'callFailed', 'callReleased', 'inDoubt');
`
