-- The store of one machine, for SQLite and for rqlite. Columns come in the order of the rows in kernel/*_rows.py.
-- Ids are lower-case hexadecimal text, JSON is text. What may never change is protected by triggers at the end.
--
-- An event has 68 characters of name and a history too; rows that hang on one use its number instead, because keys
-- that arrive in random order within a thread cost up to a page each. The relations under their own names are views
-- that can be written.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The machine: what was declared, by plan; the steps, which of them commute, and the fields of the accord.
CREATE TABLE plans (
  plan_digest TEXT PRIMARY KEY, machine TEXT NOT NULL, version TEXT NOT NULL, laws_digest TEXT NOT NULL,
  matrix_digest TEXT NOT NULL, declaration TEXT NOT NULL
) STRICT;
CREATE TABLE steps (name TEXT PRIMARY KEY, number INTEGER NOT NULL, kind TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE commutation (
  step_a TEXT NOT NULL REFERENCES steps, step_b TEXT NOT NULL REFERENCES steps, PRIMARY KEY (step_a, step_b)
) STRICT, WITHOUT ROWID;
CREATE TABLE accord_fields (
  field TEXT PRIMARY KEY, type TEXT NOT NULL, reducer TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Fibers by their points. Elements are masks over the points' positions; listed for small fibers only.
CREATE TABLE fibers (fiber_id TEXT PRIMARY KEY, points INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE fiber_points (
  fiber_id TEXT NOT NULL REFERENCES fibers, position INTEGER NOT NULL, point TEXT NOT NULL,
  up TEXT NOT NULL, -- JSON array: the point and all it rests on, sorted
  saturation INTEGER NOT NULL, transfer INTEGER NOT NULL, -- 1 when the point lies in S, in R
  PRIMARY KEY (fiber_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE fiber_elements (
  fiber_id TEXT NOT NULL REFERENCES fibers, elem INTEGER NOT NULL, PRIMARY KEY (fiber_id, elem)
) STRICT, WITHOUT ROWID;
CREATE TABLE fiber_meet (
  fiber_id TEXT NOT NULL REFERENCES fibers, a INTEGER NOT NULL, b INTEGER NOT NULL, result INTEGER NOT NULL,
  PRIMARY KEY (fiber_id, a, b)
) STRICT, WITHOUT ROWID;
CREATE TABLE fiber_join (
  fiber_id TEXT NOT NULL REFERENCES fibers, a INTEGER NOT NULL, b INTEGER NOT NULL, result INTEGER NOT NULL,
  PRIMARY KEY (fiber_id, a, b)
) STRICT, WITHOUT ROWID;
CREATE TABLE fiber_impl (
  fiber_id TEXT NOT NULL REFERENCES fibers, a INTEGER NOT NULL, b INTEGER NOT NULL, result INTEGER NOT NULL,
  PRIMARY KEY (fiber_id, a, b)
) STRICT, WITHOUT ROWID;
CREATE TABLE nuclei (
  fiber_id TEXT NOT NULL REFERENCES fibers, elem INTEGER NOT NULL,
  saturate INTEGER NOT NULL, transfer INTEGER NOT NULL, PRIMARY KEY (fiber_id, elem)
) STRICT, WITHOUT ROWID;

-- Events and histories, content-addressed. `thread`, `seq` and `place` of a history say where it was first reached.
CREATE TABLE events (
  event_id TEXT NOT NULL UNIQUE, genesis TEXT NOT NULL, step TEXT NOT NULL, step_key TEXT NOT NULL,
  tier INTEGER NOT NULL, payload TEXT NOT NULL, payload_digest TEXT NOT NULL, contributions_digest TEXT NOT NULL,
  parents TEXT NOT NULL, plan_digest TEXT NOT NULL REFERENCES plans, lifecycle TEXT NOT NULL, verdicts TEXT NOT NULL,
  number INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE histories (
  history_id TEXT NOT NULL UNIQUE, depth INTEGER NOT NULL, tier INTEGER NOT NULL, normal_form_ref TEXT NOT NULL,
  fiber_id TEXT NOT NULL REFERENCES fibers, section_digest TEXT NOT NULL,
  thread TEXT NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER PRIMARY KEY
) STRICT;
-- `seq` is the message that made the event part of the thread; a fork or a merge brings many, numbered by `place`.
CREATE TABLE thread_events (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, event_id TEXT NOT NULL REFERENCES events (event_id),
  history_id TEXT NOT NULL, evidence TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (thread, seq, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_claims (
  event INTEGER NOT NULL, claim TEXT NOT NULL,
  touch TEXT NOT NULL CHECK (touch IN ('assert', 'contest', 'veto')), PRIMARY KEY (event, claim, touch)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_contributions (
  event INTEGER NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (event, field)
) STRICT, WITHOUT ROWID;
-- Events of one step type are ordered, so a history minus its last event of that type is one history.
CREATE TABLE history_extensions (
  target INTEGER NOT NULL, step TEXT NOT NULL, source TEXT NOT NULL,
  PRIMARY KEY (target, step)
) STRICT, WITHOUT ROWID;

CREATE VIEW claims (event_id, claim, touch) AS
  SELECT e.event_id, c.claim, c.touch FROM events e JOIN event_claims c ON c.event = e.number;
CREATE VIEW contributions (event_id, field, value) AS
  SELECT e.event_id, c.field, c.value FROM events e JOIN event_contributions c ON c.event = e.number;
CREATE VIEW extensions (source, target, step) AS
  SELECT x.source, h.history_id, x.step FROM histories h JOIN history_extensions x ON x.target = h.number;
CREATE TRIGGER claims_insert INSTEAD OF INSERT ON claims BEGIN
  INSERT INTO event_claims (event, claim, touch)
  VALUES ((SELECT number FROM events WHERE event_id = NEW.event_id), NEW.claim, NEW.touch)
  ON CONFLICT (event, claim, touch) DO NOTHING;
END;
CREATE TRIGGER contributions_insert INSTEAD OF INSERT ON contributions BEGIN
  INSERT INTO event_contributions (event, field, value)
  VALUES ((SELECT number FROM events WHERE event_id = NEW.event_id), NEW.field, NEW.value);
END;
CREATE TRIGGER extensions_insert INSTEAD OF INSERT ON extensions BEGIN
  INSERT INTO history_extensions (target, step, source)
  VALUES ((SELECT number FROM histories WHERE history_id = NEW.target), NEW.step, NEW.source);
END;

-- Threads: where they stand, and how they came there.
CREATE TABLE threads (
  thread TEXT PRIMARY KEY, label TEXT NOT NULL, head TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  state TEXT NOT NULL, fenced INTEGER NOT NULL DEFAULT 0, snapshot_depth INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE commits (
  thread TEXT NOT NULL, from_head TEXT NOT NULL, from_seq INTEGER NOT NULL, epoch INTEGER NOT NULL,
  to_head TEXT NOT NULL, to_seq INTEGER NOT NULL CHECK (to_seq > from_seq), PRIMARY KEY (thread, from_seq)
) STRICT, WITHOUT ROWID;
-- Commits whose threads have not moved yet: what a turn writes is asked for here. Empty between transactions.
CREATE TABLE under_way (
  thread TEXT PRIMARY KEY, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE receipts (
  thread TEXT NOT NULL, step_key TEXT NOT NULL, step TEXT NOT NULL, payload_digest TEXT NOT NULL,
  seq INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (thread, step_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE rejections (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, step TEXT NOT NULL, step_key TEXT NOT NULL, gate TEXT NOT NULL,
  code TEXT NOT NULL, sentence TEXT NOT NULL, witness TEXT NOT NULL, lifecycle TEXT NOT NULL,
  PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE transitions (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, claim TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('newly', 'superseded')),
  history_before TEXT NOT NULL, history_after TEXT NOT NULL, PRIMARY KEY (thread, seq, claim)
) STRICT, WITHOUT ROWID;
-- Forks, merges, closings and resolutions that took effect. `payload` names the other thread, or the obstruction.
CREATE TABLE controls (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, record TEXT NOT NULL, step_key TEXT NOT NULL, payload TEXT NOT NULL,
  evidence TEXT NOT NULL, PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
-- Each commit asks whether its thread was closed, and an open one may have many records.
CREATE INDEX controls_closed ON controls (thread, record) WHERE record = '_close';
-- What kept `other` from being merged into `thread`: both sides, kept. `seq` is the merge record that met it first.
CREATE TABLE obstructions (
  obstruction_id TEXT PRIMARY KEY, thread TEXT NOT NULL, other TEXT NOT NULL, seq INTEGER NOT NULL,
  disagreement TEXT NOT NULL, field TEXT NOT NULL, witness TEXT NOT NULL,
  left_side TEXT NOT NULL, right_side TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE resolutions (
  obstruction_id TEXT PRIMARY KEY REFERENCES obstructions, thread TEXT NOT NULL, seq INTEGER NOT NULL,
  keep TEXT NOT NULL, reason TEXT NOT NULL, principal TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
  thread TEXT NOT NULL, seq INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('journal', 'out', 'rejected', 'step', 'effect')),
  body TEXT NOT NULL, PRIMARY KEY (seq, kind, thread)
) STRICT, WITHOUT ROWID;
-- Steps that run outside their turn. `seq` is the step's message, which opened it when every gate let it begin;
-- `at_seq` the one that began an attempt, or answered it. A run that a step it depends on overtook begins again.
CREATE TABLE runs (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, step TEXT NOT NULL, step_key TEXT NOT NULL, payload TEXT NOT NULL,
  payload_digest TEXT NOT NULL, frozen_digest TEXT NOT NULL REFERENCES frozen_plans, evidence TEXT NOT NULL,
  PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_attempts (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, at_seq INTEGER NOT NULL, view TEXT NOT NULL,
  PRIMARY KEY (thread, seq, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_answers (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, at_seq INTEGER NOT NULL, reason TEXT NOT NULL,
  frozen_digest TEXT NOT NULL REFERENCES frozen_plans,
  tokens INTEGER AS (said ->> '$.usage.tokens') STORED, cost REAL AS (said ->> '$.usage.cost') STORED,
  tool_calls INTEGER AS (said ->> '$.usage.tool_calls') STORED, seconds REAL AS (said ->> '$.usage.seconds') STORED,
  solver_seconds REAL AS (said ->> '$.usage.solver_seconds') STORED,
  said TEXT NOT NULL, PRIMARY KEY (thread, seq, attempt)
) STRICT, WITHOUT ROWID;
-- By the record that brought them. What was spent stands before what was said, so that its sum reads no answer.
CREATE UNIQUE INDEX run_answers_by_record ON run_answers (thread, at_seq);
CREATE TABLE run_ends (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, at_seq INTEGER NOT NULL,
  lifecycle TEXT NOT NULL CHECK (lifecycle IN ('OPEN>ACTIVE>COMMIT>CLOSE', 'OPEN>ACTIVE>ABORT>CLOSE')),
  outcome TEXT NOT NULL, PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX run_ends_by_answer ON run_ends (thread, at_seq);
-- The runs that have no end yet, among all others; triggers keep it.
CREATE TABLE runs_open (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
-- Everything a run saw and could not know beforehand, and the passes that it made.
CREATE TABLE decisions (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, place INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('model', 'tool', 'time', 'id')), name TEXT NOT NULL, asked TEXT NOT NULL,
  value TEXT NOT NULL, error TEXT NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL, seal TEXT NOT NULL,
  PRIMARY KEY (thread, seq, attempt, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE iterations (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, number INTEGER NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('answer', 'call', 'retry', 'fail')), tool TEXT NOT NULL,
  input TEXT NOT NULL, output TEXT NOT NULL, error TEXT NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (thread, seq, attempt, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE frozen_plans (frozen_digest TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- What a durable run has seen so far, for whoever takes it up after a crash. Working memory: its answer replaces it.
CREATE TABLE run_drafts (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, place INTEGER NOT NULL, decision TEXT NOT NULL,
  PRIMARY KEY (thread, seq, attempt, place)
) STRICT, WITHOUT ROWID;
-- Steps that wait for claims they need. `seq` is the step's message; `at_seq` the release by which it stopped waiting.
CREATE TABLE held (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, step TEXT NOT NULL, step_key TEXT NOT NULL, payload TEXT NOT NULL,
  payload_digest TEXT NOT NULL, missing TEXT NOT NULL, evidence TEXT NOT NULL, PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE held_ends (
  thread TEXT NOT NULL, seq INTEGER NOT NULL, at_seq INTEGER NOT NULL,
  lifecycle TEXT NOT NULL CHECK (lifecycle IN ('', 'OPEN>ACTIVE>COMMIT>CLOSE', 'OPEN>ACTIVE>ABORT>CLOSE')),
  outcome TEXT NOT NULL, PRIMARY KEY (thread, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX held_ends_by_release ON held_ends (thread, at_seq);
-- Threads with steps that wait now, among all others; a value that looks like that costs a look.
CREATE INDEX threads_waiting ON threads (thread) WHERE instr(state, '"waiting":{') > 0;
-- How often the fence rolled back a request, by the opened store that sent it; counted where several servers share one.
CREATE TABLE fence_refusals (writer TEXT PRIMARY KEY, refusals INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- Per field the contributions that still decide its value over the history, as a JSON object of arrays.
CREATE TABLE section_snapshots (
  history_id TEXT NOT NULL, section_data TEXT NOT NULL,
  thread TEXT NOT NULL, seq INTEGER NOT NULL, depth INTEGER NOT NULL, PRIMARY KEY (history_id, thread)
) STRICT;
CREATE INDEX section_snapshots_by_thread ON section_snapshots (thread, seq);

-- What threads were told on the control lane, and where they stood when it took hold: `control_seq` counts in the
-- control stream, `at_seq` in that of the steps; `epoch` is the thread's after it. `refusal` is JSON, or empty.
CREATE TABLE control_effects (
  thread TEXT NOT NULL, control_seq INTEGER NOT NULL,
  record TEXT NOT NULL, step_key TEXT NOT NULL, at_seq INTEGER NOT NULL, at_head TEXT NOT NULL, epoch INTEGER NOT NULL,
  payload TEXT NOT NULL, evidence TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('applied', 'unchanged', 'repeated', 'refused')),
  refusal TEXT NOT NULL CHECK ((refusal = '') = (outcome <> 'refused')), PRIMARY KEY (thread, control_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX control_effects_by_key ON control_effects (thread, step_key);
-- The effects that raise their thread's epoch: turns that began before are void.
CREATE VIEW thread_fences (thread, record, control_seq, at_seq, epoch, request) AS
  SELECT thread, record, control_seq, at_seq, epoch, payload ->> '$.request' FROM control_effects
  WHERE outcome = 'applied' AND record IN ('cancel', 'close');
-- Those after which no commit changes the thread's history.
CREATE VIEW thread_stops (thread, record, control_seq, at_seq, epoch) AS
  SELECT thread, record, control_seq, at_seq, epoch FROM thread_fences WHERE request IS NULL;
-- Those after which the step at sequence `seq` becomes no event by its run.
CREATE VIEW run_stops (thread, seq, control_seq, at_seq) AS
  SELECT thread, request, control_seq, at_seq FROM thread_fences WHERE request IS NOT NULL;

-- Effects of an earlier store that the feed tells of: each takes hold here where it took hold there, and its row goes.
-- `place` numbers them in each thread. Empty where nothing is built again.
CREATE TABLE foretold (
  thread TEXT NOT NULL, place INTEGER NOT NULL, control_seq INTEGER NOT NULL, record TEXT NOT NULL,
  step_key TEXT NOT NULL, at_seq INTEGER NOT NULL, payload TEXT NOT NULL, evidence TEXT NOT NULL,
  outcome TEXT NOT NULL, refusal TEXT NOT NULL, PRIMARY KEY (thread, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX foretold_by_place ON foretold (thread, at_seq);

-- Relations that no turn writes yet.
CREATE TABLE units (
  id TEXT NOT NULL, locale TEXT NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (id, locale)
) STRICT, WITHOUT ROWID;
CREATE TABLE peers (peer TEXT PRIMARY KEY, card TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE revocations (revocation_id TEXT PRIMARY KEY, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- H* of each listed fiber: the elements that both nuclei leave as they are.
CREATE VIEW fixed_fiber (fiber_id, elem) AS
  SELECT fiber_id, elem FROM nuclei WHERE saturate = elem AND transfer = elem;
-- ρ from the fiber of the longer history to that of the shorter, for each listed element: a ↦ a ∩ P. Rows are worked out
-- and not kept: P is part of the points, so there is nothing that such a row could say otherwise.
CREATE VIEW restrictions (from_history, to_history, step, elem_in, elem_out) AS
  SELECT h.history_id, x.source, x.step, el.elem, coalesce(
    (SELECT sum(1 << there.position) FROM fiber_points here
      JOIN fiber_points there ON there.fiber_id = s.fiber_id AND there.point = here.point
      WHERE here.fiber_id = h.fiber_id AND el.elem >> here.position & 1),
    0)
  FROM histories h
  JOIN history_extensions x ON x.target = h.number
  LEFT JOIN histories s ON s.history_id = x.source -- none for the empty history, whose fiber has one element
  JOIN fiber_elements el ON el.fiber_id = h.fiber_id;
-- The same by fibers: a row for each element of each listed fiber that a history restricts to that of another.
CREATE VIEW restriction_maps (from_fiber, to_fiber, elem_in, elem_out) AS
  SELECT p.later, p.earlier, el.elem, coalesce(
    (SELECT sum(1 << there.position) FROM fiber_points here
      JOIN fiber_points there ON there.fiber_id = p.earlier AND there.point = here.point
      WHERE here.fiber_id = p.later AND el.elem >> here.position & 1),
    0)
  FROM (SELECT DISTINCT h.fiber_id AS later, s.fiber_id AS earlier
    FROM histories h
    JOIN history_extensions x ON x.target = h.number
    JOIN histories s ON s.history_id = x.source AND s.fiber_id <> h.fiber_id) p
  JOIN fiber_elements el ON el.fiber_id = p.later;
-- What each history adds to the section of the one before it. `delta` is a JSON object by field.
CREATE VIEW section_deltas (history_id, source, event_id, thread, seq, delta, section_digest) AS
  SELECT h.history_id, x.source, e.event_id, h.thread, h.seq,
    (SELECT json_group_object(c.field, json(c.value)) FROM event_contributions c WHERE c.event = e.number),
    h.section_digest
  FROM histories h
  JOIN thread_events t ON t.thread = h.thread AND t.seq = h.seq AND t.place = h.place
  JOIN events e ON e.event_id = t.event_id
  JOIN history_extensions x ON x.target = h.number AND x.step = e.step;
-- Contributions of each thread where they came.
CREATE VIEW thread_contributions (thread, seq, place, event_id, field, value) AS
  SELECT t.thread, t.seq, t.place, t.event_id, c.field, c.value
  FROM thread_events t
  JOIN events e ON e.event_id = t.event_id
  JOIN event_contributions c ON c.event = e.number;
-- Each history's section, folded. A sum that is not of integers, or too large, is null: SQL would round it.
CREATE VIEW accord_sections (accord_id, history_id, section_data) AS
  SELECT (SELECT value FROM meta WHERE key = 'accord_id'), h.history_id,
    (SELECT json_group_object(f.field, json(CASE f.reducer
      WHEN 'union' THEN (SELECT json_group_array(json(value)) FROM (
        SELECT DISTINCT value FROM thread_contributions c
        WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field ORDER BY value))
      WHEN 'log' THEN (SELECT json_group_array(json(value)) FROM (
        SELECT value FROM thread_contributions c
        WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field
        ORDER BY c.seq, c.place))
      WHEN 'max' THEN (SELECT value FROM thread_contributions c
        WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field
        ORDER BY value ->> '$' DESC LIMIT 1)
      WHEN 'min' THEN (SELECT value FROM thread_contributions c
        WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field
        ORDER BY value ->> '$' LIMIT 1)
      WHEN 'once' THEN (SELECT min(value) FROM thread_contributions c
        WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field)
      WHEN 'sum' THEN (SELECT CASE
          WHEN count(*) = 1 THEN min(value)
          WHEN min(typeof(value ->> '$') = 'integer') AND abs(total(value ->> '$')) <= 9007199254740991
          THEN CAST(sum(value ->> '$') AS TEXT) ELSE 'null' END
        FROM thread_contributions c
        WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field)
      END))
     FROM accord_fields f
     WHERE EXISTS (SELECT 1 FROM thread_contributions c
       WHERE c.thread = h.thread AND (c.seq, c.place) <= (h.seq, h.place) AND c.field = f.field))
  FROM histories h;

-- The fence: a commit starts where its thread stands, or nothing of its transaction happens.
CREATE TRIGGER commits_fence BEFORE INSERT ON commits BEGIN
  SELECT RAISE(ABORT, 'stale') FROM (SELECT 1) LEFT JOIN threads t ON t.thread = NEW.thread
  WHERE t.head IS NOT NEW.from_head OR t.seq IS NOT NEW.from_seq OR t.epoch IS NOT NEW.epoch OR t.fenced IS NOT 0;
END;
-- A thread that was merged into another still refuses steps, and that moves its cursor; its history is at its end.
CREATE TRIGGER commits_closed BEFORE INSERT ON commits WHEN NEW.to_head IS NOT NEW.from_head BEGIN
  SELECT RAISE(ABORT, 'closed') FROM controls WHERE thread = NEW.thread AND record = '_close';
END;
CREATE TRIGGER thread_events_closed BEFORE INSERT ON thread_events BEGIN
  SELECT RAISE(ABORT, 'closed') FROM controls WHERE thread = NEW.thread AND record = '_close';
END;
-- A thread that was told to stop still refuses steps, and that moves its cursor; its history is at its end.
CREATE TRIGGER commits_cancelled BEFORE INSERT ON commits WHEN NEW.to_head IS NOT NEW.from_head BEGIN
  SELECT RAISE(ABORT, 'stale') FROM thread_stops s JOIN threads t ON t.thread = s.thread
  WHERE s.thread = NEW.thread AND t.epoch IS NOT NEW.epoch;
  SELECT RAISE(ABORT, 'cancelled') FROM thread_stops WHERE thread = NEW.thread;
END;
CREATE TRIGGER thread_events_cancelled BEFORE INSERT ON thread_events BEGIN
  SELECT RAISE(ABORT, 'cancelled') FROM thread_stops WHERE thread = NEW.thread;
END;
CREATE TRIGGER resolutions_obstruction BEFORE INSERT ON resolutions BEGIN
  SELECT RAISE(ABORT, 'a resolution is of an obstruction')
  WHERE NOT EXISTS (SELECT 1 FROM obstructions WHERE obstruction_id = NEW.obstruction_id);
END;
-- A thread that never moved says nothing: whoever begins it says where.
CREATE TRIGGER threads_begin BEFORE INSERT ON threads BEGIN
  DELETE FROM threads
  WHERE thread = NEW.thread AND seq = 0 AND NOT EXISTS (SELECT 1 FROM commits WHERE thread = NEW.thread)
    AND NOT EXISTS (SELECT 1 FROM control_effects WHERE thread = NEW.thread);
  SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM threads WHERE thread = NEW.thread OR rowid = NEW.rowid);
  SELECT RAISE(ABORT, 'a thread begins at sequence 0, epoch 0') WHERE NEW.seq IS NOT 0 OR NEW.epoch IS NOT 0;
END;
CREATE TRIGGER threads_move BEFORE UPDATE OF head, seq ON threads BEGIN
  SELECT RAISE(ABORT, 'a thread moves by a commit') WHERE NOT EXISTS (SELECT 1 FROM commits c
    WHERE c.thread = OLD.thread AND c.from_seq = OLD.seq AND c.from_head = OLD.head
      AND c.to_seq = NEW.seq AND c.to_head = NEW.head);
END;
CREATE TRIGGER threads_epoch BEFORE UPDATE OF epoch ON threads WHEN NEW.epoch < OLD.epoch BEGIN
  SELECT RAISE(ABORT, 'an epoch never falls');
END;
CREATE TRIGGER threads_name BEFORE UPDATE OF thread, label, rowid ON threads BEGIN
  SELECT RAISE(ABORT, 'write_once: threads');
END;
CREATE TRIGGER threads_delete BEFORE DELETE ON threads
WHEN OLD.seq > 0 OR EXISTS (SELECT 1 FROM commits WHERE thread = OLD.thread)
  OR EXISTS (SELECT 1 FROM control_effects WHERE thread = OLD.thread) BEGIN
  SELECT RAISE(ABORT, 'write_once: threads');
END;
CREATE TRIGGER events_parents BEFORE INSERT ON events BEGIN
  SELECT CASE
    WHEN json_type(NEW.parents) IS NOT 'array' OR json_array_length(NEW.parents) IS NOT found.parents
    THEN RAISE(ABORT, 'an event comes after its parents')
    WHEN NEW.tier IS NOT found.tier + 1 THEN RAISE(ABORT, 'an event is one tier above its parents')
    WHEN found.strange THEN RAISE(ABORT, 'an event has the genesis of its parents')
  END
  FROM (SELECT count(*) AS parents, coalesce(max(e.tier), 0) AS tier,
      coalesce(max(e.genesis <> NEW.genesis), 0) AS strange
    FROM json_each(NEW.parents) p JOIN events e ON e.event_id = p.value) found;
END;

-- Write once. Content-addressed rows may come again and change nothing, if they say the same: a row that was put there
-- before its time must not pass for the one that comes. What is no content may differ: a number, where something was met
-- first, the plan an event was admitted under, why two events depend on each other. Others may not come again.
-- The insert triggers are there for INSERT OR REPLACE, which deletes without asking the delete triggers; commits have
-- the fence for that, and a claim's touch is all key.
CREATE TRIGGER events_once BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id) BEGIN
  SELECT RAISE(ABORT, 'write_once: events') WHERE NOT EXISTS (
    SELECT 1 FROM events WHERE event_id = NEW.event_id
      AND (genesis, step, step_key, tier, payload, payload_digest, contributions_digest, parents)
        IS (NEW.genesis, NEW.step, NEW.step_key, NEW.tier, NEW.payload, NEW.payload_digest, NEW.contributions_digest,
          NEW.parents));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER events_number BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE number = NEW.number) BEGIN
  SELECT RAISE(ABORT, 'write_once: events');
END;
CREATE TRIGGER histories_once BEFORE INSERT ON histories
WHEN EXISTS (SELECT 1 FROM histories WHERE history_id = NEW.history_id) BEGIN
  SELECT RAISE(ABORT, 'write_once: histories') WHERE NOT EXISTS (
    SELECT 1 FROM histories WHERE history_id = NEW.history_id
      AND (depth, tier, normal_form_ref, fiber_id, section_digest)
        IS (NEW.depth, NEW.tier, NEW.normal_form_ref, NEW.fiber_id, NEW.section_digest));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER histories_number BEFORE INSERT ON histories
WHEN EXISTS (SELECT 1 FROM histories WHERE number = NEW.number) BEGIN
  SELECT RAISE(ABORT, 'write_once: histories');
END;
CREATE TRIGGER event_contributions_once BEFORE INSERT ON event_contributions
WHEN EXISTS (SELECT 1 FROM event_contributions WHERE event = NEW.event AND field = NEW.field) BEGIN
  SELECT RAISE(ABORT, 'write_once: event_contributions') WHERE NOT EXISTS (
    SELECT 1 FROM event_contributions WHERE event = NEW.event AND field = NEW.field AND value IS NEW.value);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER history_extensions_once BEFORE INSERT ON history_extensions
WHEN EXISTS (SELECT 1 FROM history_extensions WHERE target = NEW.target AND step = NEW.step) BEGIN
  SELECT RAISE(ABORT, 'write_once: history_extensions') WHERE NOT EXISTS (
    SELECT 1 FROM history_extensions WHERE target = NEW.target AND step = NEW.step AND source IS NEW.source);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER plans_once BEFORE INSERT ON plans
WHEN EXISTS (SELECT 1 FROM plans WHERE plan_digest = NEW.plan_digest) BEGIN
  SELECT RAISE(ABORT, 'write_once: plans') WHERE NOT EXISTS (
    SELECT 1 FROM plans WHERE plan_digest = NEW.plan_digest
      AND (machine, version, laws_digest, matrix_digest, declaration)
        IS (NEW.machine, NEW.version, NEW.laws_digest, NEW.matrix_digest, NEW.declaration));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER plans_number BEFORE INSERT ON plans
WHEN EXISTS (SELECT 1 FROM plans WHERE rowid = NEW.rowid) BEGIN
  SELECT RAISE(ABORT, 'write_once: plans');
END;
CREATE TRIGGER steps_once BEFORE INSERT ON steps
WHEN EXISTS (SELECT 1 FROM steps WHERE name = NEW.name) BEGIN
  SELECT RAISE(ABORT, 'write_once: steps') WHERE NOT EXISTS (
    SELECT 1 FROM steps WHERE name = NEW.name AND (number, kind) IS (NEW.number, NEW.kind));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER commutation_once BEFORE INSERT ON commutation
WHEN EXISTS (SELECT 1 FROM commutation WHERE step_a = NEW.step_a AND step_b = NEW.step_b) BEGIN
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER accord_fields_once BEFORE INSERT ON accord_fields
WHEN EXISTS (SELECT 1 FROM accord_fields WHERE field = NEW.field) BEGIN
  SELECT RAISE(ABORT, 'write_once: accord_fields') WHERE NOT EXISTS (
    SELECT 1 FROM accord_fields WHERE field = NEW.field AND (type, reducer) IS (NEW.type, NEW.reducer));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER fibers_once BEFORE INSERT ON fibers
WHEN EXISTS (SELECT 1 FROM fibers WHERE fiber_id = NEW.fiber_id) BEGIN
  SELECT RAISE(ABORT, 'write_once: fibers') WHERE NOT EXISTS (
    SELECT 1 FROM fibers WHERE fiber_id = NEW.fiber_id AND points IS NEW.points);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER fiber_points_once BEFORE INSERT ON fiber_points
WHEN EXISTS (SELECT 1 FROM fiber_points WHERE fiber_id = NEW.fiber_id AND position = NEW.position) BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_points') WHERE NOT EXISTS (
    SELECT 1 FROM fiber_points WHERE fiber_id = NEW.fiber_id AND position = NEW.position
      AND (point, up, saturation, transfer) IS (NEW.point, NEW.up, NEW.saturation, NEW.transfer));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER fiber_elements_once BEFORE INSERT ON fiber_elements
WHEN EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.elem) BEGIN
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER fiber_meet_once BEFORE INSERT ON fiber_meet
WHEN EXISTS (SELECT 1 FROM fiber_meet WHERE fiber_id = NEW.fiber_id AND a = NEW.a AND b = NEW.b) BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_meet') WHERE NOT EXISTS (
    SELECT 1 FROM fiber_meet WHERE fiber_id = NEW.fiber_id AND a = NEW.a AND b = NEW.b AND result IS NEW.result);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER fiber_join_once BEFORE INSERT ON fiber_join
WHEN EXISTS (SELECT 1 FROM fiber_join WHERE fiber_id = NEW.fiber_id AND a = NEW.a AND b = NEW.b) BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_join') WHERE NOT EXISTS (
    SELECT 1 FROM fiber_join WHERE fiber_id = NEW.fiber_id AND a = NEW.a AND b = NEW.b AND result IS NEW.result);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER fiber_impl_once BEFORE INSERT ON fiber_impl
WHEN EXISTS (SELECT 1 FROM fiber_impl WHERE fiber_id = NEW.fiber_id AND a = NEW.a AND b = NEW.b) BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_impl') WHERE NOT EXISTS (
    SELECT 1 FROM fiber_impl WHERE fiber_id = NEW.fiber_id AND a = NEW.a AND b = NEW.b AND result IS NEW.result);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER nuclei_once BEFORE INSERT ON nuclei
WHEN EXISTS (SELECT 1 FROM nuclei WHERE fiber_id = NEW.fiber_id AND elem = NEW.elem) BEGIN
  SELECT RAISE(ABORT, 'write_once: nuclei') WHERE NOT EXISTS (
    SELECT 1 FROM nuclei WHERE fiber_id = NEW.fiber_id AND elem = NEW.elem
      AND (saturate, transfer) IS (NEW.saturate, NEW.transfer));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER section_snapshots_once BEFORE INSERT ON section_snapshots
WHEN EXISTS (SELECT 1 FROM section_snapshots WHERE history_id = NEW.history_id AND thread = NEW.thread) BEGIN
  SELECT RAISE(ABORT, 'write_once: section_snapshots') WHERE NOT EXISTS (
    SELECT 1 FROM section_snapshots WHERE history_id = NEW.history_id AND thread = NEW.thread
      AND (section_data, depth) IS (NEW.section_data, NEW.depth));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER section_snapshots_number BEFORE INSERT ON section_snapshots
WHEN EXISTS (SELECT 1 FROM section_snapshots WHERE rowid = NEW.rowid) BEGIN
  SELECT RAISE(ABORT, 'write_once: section_snapshots');
END;
CREATE TRIGGER meta_once BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM meta WHERE key = NEW.key) BEGIN
  SELECT RAISE(ABORT, 'write_once: meta');
END;
CREATE TRIGGER thread_events_once BEFORE INSERT ON thread_events
WHEN EXISTS (SELECT 1 FROM thread_events WHERE thread = NEW.thread AND seq = NEW.seq AND place = NEW.place) BEGIN
  SELECT RAISE(ABORT, 'write_once: thread_events');
END;
CREATE TRIGGER controls_once BEFORE INSERT ON controls
WHEN EXISTS (SELECT 1 FROM controls WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: controls');
END;
CREATE TRIGGER obstructions_once BEFORE INSERT ON obstructions
WHEN EXISTS (SELECT 1 FROM obstructions WHERE obstruction_id = NEW.obstruction_id) BEGIN
  SELECT RAISE(ABORT, 'write_once: obstructions') WHERE NOT EXISTS (
    SELECT 1 FROM obstructions WHERE obstruction_id = NEW.obstruction_id
      AND (thread, other, disagreement, field, left_side, right_side)
        IS (NEW.thread, NEW.other, NEW.disagreement, NEW.field, NEW.left_side, NEW.right_side));
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER resolutions_once BEFORE INSERT ON resolutions
WHEN EXISTS (SELECT 1 FROM resolutions WHERE obstruction_id = NEW.obstruction_id) BEGIN
  SELECT RAISE(ABORT, 'write_once: resolutions');
END;
CREATE TRIGGER receipts_once BEFORE INSERT ON receipts
WHEN EXISTS (SELECT 1 FROM receipts WHERE thread = NEW.thread AND step_key = NEW.step_key) BEGIN
  SELECT RAISE(ABORT, 'write_once: receipts');
END;
CREATE TRIGGER rejections_once BEFORE INSERT ON rejections
WHEN EXISTS (SELECT 1 FROM rejections WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: rejections');
END;
CREATE TRIGGER transitions_once BEFORE INSERT ON transitions
WHEN EXISTS (SELECT 1 FROM transitions WHERE thread = NEW.thread AND seq = NEW.seq AND claim = NEW.claim) BEGIN
  SELECT RAISE(ABORT, 'write_once: transitions');
END;
CREATE TRIGGER outbox_once BEFORE INSERT ON outbox
WHEN EXISTS (SELECT 1 FROM outbox WHERE seq = NEW.seq AND kind = NEW.kind AND thread = NEW.thread) BEGIN
  SELECT RAISE(ABORT, 'write_once: outbox');
END;
CREATE TRIGGER events_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'write_once: events'); END;
CREATE TRIGGER events_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'write_once: events'); END;
CREATE TRIGGER histories_update BEFORE UPDATE ON histories BEGIN SELECT RAISE(ABORT, 'write_once: histories'); END;
CREATE TRIGGER histories_delete BEFORE DELETE ON histories BEGIN SELECT RAISE(ABORT, 'write_once: histories'); END;
CREATE TRIGGER event_claims_update BEFORE UPDATE ON event_claims BEGIN
  SELECT RAISE(ABORT, 'write_once: event_claims');
END;
CREATE TRIGGER event_claims_delete BEFORE DELETE ON event_claims BEGIN
  SELECT RAISE(ABORT, 'write_once: event_claims');
END;
CREATE TRIGGER event_contributions_update BEFORE UPDATE ON event_contributions BEGIN
  SELECT RAISE(ABORT, 'write_once: event_contributions');
END;
CREATE TRIGGER event_contributions_delete BEFORE DELETE ON event_contributions BEGIN
  SELECT RAISE(ABORT, 'write_once: event_contributions');
END;
CREATE TRIGGER history_extensions_update BEFORE UPDATE ON history_extensions BEGIN
  SELECT RAISE(ABORT, 'write_once: history_extensions');
END;
CREATE TRIGGER history_extensions_delete BEFORE DELETE ON history_extensions BEGIN
  SELECT RAISE(ABORT, 'write_once: history_extensions');
END;
CREATE TRIGGER plans_update BEFORE UPDATE ON plans BEGIN SELECT RAISE(ABORT, 'write_once: plans'); END;
CREATE TRIGGER plans_delete BEFORE DELETE ON plans BEGIN SELECT RAISE(ABORT, 'write_once: plans'); END;
CREATE TRIGGER steps_update BEFORE UPDATE ON steps BEGIN SELECT RAISE(ABORT, 'write_once: steps'); END;
CREATE TRIGGER steps_delete BEFORE DELETE ON steps BEGIN SELECT RAISE(ABORT, 'write_once: steps'); END;
CREATE TRIGGER commutation_update BEFORE UPDATE ON commutation BEGIN
  SELECT RAISE(ABORT, 'write_once: commutation');
END;
CREATE TRIGGER commutation_delete BEFORE DELETE ON commutation BEGIN
  SELECT RAISE(ABORT, 'write_once: commutation');
END;
CREATE TRIGGER accord_fields_update BEFORE UPDATE ON accord_fields BEGIN
  SELECT RAISE(ABORT, 'write_once: accord_fields');
END;
CREATE TRIGGER accord_fields_delete BEFORE DELETE ON accord_fields BEGIN
  SELECT RAISE(ABORT, 'write_once: accord_fields');
END;
CREATE TRIGGER fibers_update BEFORE UPDATE ON fibers BEGIN SELECT RAISE(ABORT, 'write_once: fibers'); END;
CREATE TRIGGER fibers_delete BEFORE DELETE ON fibers BEGIN SELECT RAISE(ABORT, 'write_once: fibers'); END;
CREATE TRIGGER fiber_points_update BEFORE UPDATE ON fiber_points BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_points');
END;
CREATE TRIGGER fiber_points_delete BEFORE DELETE ON fiber_points BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_points');
END;
CREATE TRIGGER fiber_elements_update BEFORE UPDATE ON fiber_elements BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_elements');
END;
CREATE TRIGGER fiber_elements_delete BEFORE DELETE ON fiber_elements BEGIN
  SELECT RAISE(ABORT, 'write_once: fiber_elements');
END;
CREATE TRIGGER fiber_meet_update BEFORE UPDATE ON fiber_meet BEGIN SELECT RAISE(ABORT, 'write_once: fiber_meet'); END;
CREATE TRIGGER fiber_meet_delete BEFORE DELETE ON fiber_meet BEGIN SELECT RAISE(ABORT, 'write_once: fiber_meet'); END;
CREATE TRIGGER fiber_join_update BEFORE UPDATE ON fiber_join BEGIN SELECT RAISE(ABORT, 'write_once: fiber_join'); END;
CREATE TRIGGER fiber_join_delete BEFORE DELETE ON fiber_join BEGIN SELECT RAISE(ABORT, 'write_once: fiber_join'); END;
CREATE TRIGGER fiber_impl_update BEFORE UPDATE ON fiber_impl BEGIN SELECT RAISE(ABORT, 'write_once: fiber_impl'); END;
CREATE TRIGGER fiber_impl_delete BEFORE DELETE ON fiber_impl BEGIN SELECT RAISE(ABORT, 'write_once: fiber_impl'); END;
CREATE TRIGGER nuclei_update BEFORE UPDATE ON nuclei BEGIN SELECT RAISE(ABORT, 'write_once: nuclei'); END;
CREATE TRIGGER nuclei_delete BEFORE DELETE ON nuclei BEGIN SELECT RAISE(ABORT, 'write_once: nuclei'); END;
CREATE TRIGGER section_snapshots_update BEFORE UPDATE ON section_snapshots BEGIN
  SELECT RAISE(ABORT, 'write_once: section_snapshots');
END;
CREATE TRIGGER section_snapshots_delete BEFORE DELETE ON section_snapshots BEGIN
  SELECT RAISE(ABORT, 'write_once: section_snapshots');
END;
CREATE TRIGGER meta_update BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'write_once: meta'); END;
CREATE TRIGGER meta_delete BEFORE DELETE ON meta BEGIN SELECT RAISE(ABORT, 'write_once: meta'); END;
CREATE TRIGGER thread_events_update BEFORE UPDATE ON thread_events BEGIN
  SELECT RAISE(ABORT, 'write_once: thread_events');
END;
CREATE TRIGGER thread_events_delete BEFORE DELETE ON thread_events BEGIN
  SELECT RAISE(ABORT, 'write_once: thread_events');
END;
CREATE TRIGGER controls_update BEFORE UPDATE ON controls BEGIN SELECT RAISE(ABORT, 'write_once: controls'); END;
CREATE TRIGGER controls_delete BEFORE DELETE ON controls BEGIN SELECT RAISE(ABORT, 'write_once: controls'); END;
CREATE TRIGGER obstructions_update BEFORE UPDATE ON obstructions BEGIN
  SELECT RAISE(ABORT, 'write_once: obstructions');
END;
CREATE TRIGGER obstructions_delete BEFORE DELETE ON obstructions BEGIN
  SELECT RAISE(ABORT, 'write_once: obstructions');
END;
CREATE TRIGGER resolutions_update BEFORE UPDATE ON resolutions BEGIN
  SELECT RAISE(ABORT, 'write_once: resolutions');
END;
CREATE TRIGGER resolutions_delete BEFORE DELETE ON resolutions BEGIN
  SELECT RAISE(ABORT, 'write_once: resolutions');
END;
CREATE TRIGGER commits_update BEFORE UPDATE ON commits BEGIN SELECT RAISE(ABORT, 'write_once: commits'); END;
CREATE TRIGGER commits_delete BEFORE DELETE ON commits BEGIN SELECT RAISE(ABORT, 'write_once: commits'); END;
CREATE TRIGGER receipts_update BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'write_once: receipts'); END;
CREATE TRIGGER receipts_delete BEFORE DELETE ON receipts BEGIN SELECT RAISE(ABORT, 'write_once: receipts'); END;
CREATE TRIGGER rejections_update BEFORE UPDATE ON rejections BEGIN SELECT RAISE(ABORT, 'write_once: rejections'); END;
CREATE TRIGGER rejections_delete BEFORE DELETE ON rejections BEGIN SELECT RAISE(ABORT, 'write_once: rejections'); END;
CREATE TRIGGER transitions_update BEFORE UPDATE ON transitions BEGIN
  SELECT RAISE(ABORT, 'write_once: transitions');
END;
CREATE TRIGGER transitions_delete BEFORE DELETE ON transitions BEGIN
  SELECT RAISE(ABORT, 'write_once: transitions');
END;
CREATE TRIGGER outbox_update BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'write_once: outbox'); END;

-- What a row needs. A shell that does not enforce foreign keys, which is how SQLite comes, gets no further than others.
CREATE TRIGGER events_plan BEFORE INSERT ON events
WHEN NOT EXISTS (SELECT 1 FROM plans WHERE plan_digest = NEW.plan_digest) BEGIN
  SELECT RAISE(ABORT, 'missing: plans');
END;
CREATE TRIGGER histories_fiber BEFORE INSERT ON histories
WHEN NOT EXISTS (SELECT 1 FROM fibers WHERE fiber_id = NEW.fiber_id) BEGIN
  SELECT RAISE(ABORT, 'missing: fibers');
END;
CREATE TRIGGER thread_events_parents BEFORE INSERT ON thread_events BEGIN
  SELECT RAISE(ABORT, 'missing: events') WHERE NOT EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id);
  SELECT RAISE(ABORT, 'missing: histories')
  WHERE NOT EXISTS (SELECT 1 FROM histories WHERE history_id = NEW.history_id);
END;
CREATE TRIGGER history_extensions_parents BEFORE INSERT ON history_extensions BEGIN
  SELECT CASE
    WHEN h.depth IS NULL THEN RAISE(ABORT, 'missing: histories')
    WHEN h.depth > 1 AND s.depth IS NULL THEN RAISE(ABORT, 'missing: histories')
    WHEN h.depth IS NOT coalesce(s.depth, 0) + 1 THEN RAISE(ABORT, 'a history is one deeper than the one it extends')
  END
  FROM (SELECT (SELECT depth FROM histories WHERE number = NEW.target) AS depth) h,
    (SELECT (SELECT depth FROM histories WHERE history_id = NEW.source) AS depth) s;
END;
CREATE TRIGGER fiber_points_inside BEFORE INSERT ON fiber_points
WHEN NOT EXISTS (SELECT 1 FROM fibers WHERE fiber_id = NEW.fiber_id AND NEW.position BETWEEN 0 AND points - 1) BEGIN
  SELECT RAISE(ABORT, 'missing: fibers');
END;
CREATE TRIGGER fiber_elements_fiber BEFORE INSERT ON fiber_elements
WHEN NOT EXISTS (SELECT 1 FROM fibers WHERE fiber_id = NEW.fiber_id) BEGIN
  SELECT RAISE(ABORT, 'missing: fibers');
END;
CREATE TRIGGER fiber_elements_sealed BEFORE INSERT ON fiber_elements
WHEN EXISTS (SELECT 1 FROM nuclei WHERE fiber_id = NEW.fiber_id)
  AND NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.elem) BEGIN
  SELECT RAISE(ABORT, 'sealed: fiber_elements');
END;
CREATE TRIGGER fiber_meet_inside BEFORE INSERT ON fiber_meet
WHEN NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.a)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.b)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.result) BEGIN
  SELECT RAISE(ABORT, 'missing: fiber_elements');
END;
CREATE TRIGGER fiber_join_inside BEFORE INSERT ON fiber_join
WHEN NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.a)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.b)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.result) BEGIN
  SELECT RAISE(ABORT, 'missing: fiber_elements');
END;
CREATE TRIGGER fiber_impl_inside BEFORE INSERT ON fiber_impl
WHEN NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.a)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.b)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.result) BEGIN
  SELECT RAISE(ABORT, 'missing: fiber_elements');
END;
CREATE TRIGGER nuclei_inside BEFORE INSERT ON nuclei
WHEN NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.elem)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.saturate)
  OR NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.transfer) BEGIN
  SELECT RAISE(ABORT, 'missing: fiber_elements');
END;
CREATE TRIGGER section_snapshots_end BEFORE INSERT ON section_snapshots
WHEN NOT EXISTS (SELECT 1 FROM under_way u JOIN commits c ON c.thread = u.thread AND c.from_seq = u.from_seq
    WHERE u.thread = NEW.thread AND (c.to_head, c.to_seq) = (NEW.history_id, NEW.seq))
  AND NOT EXISTS (SELECT 1 FROM section_snapshots WHERE history_id = NEW.history_id AND thread = NEW.thread) BEGIN
  SELECT RAISE(ABORT, 'a section snapshot is of where a commit ends');
END;

-- What the machine is stands before its first thread.
CREATE TRIGGER steps_sealed BEFORE INSERT ON steps
WHEN EXISTS (SELECT 1 FROM threads) AND NOT EXISTS (SELECT 1 FROM steps WHERE name = NEW.name) BEGIN
  SELECT RAISE(ABORT, 'sealed: steps');
END;
CREATE TRIGGER commutation_sealed BEFORE INSERT ON commutation
WHEN EXISTS (SELECT 1 FROM threads)
  AND NOT EXISTS (SELECT 1 FROM commutation WHERE step_a = NEW.step_a AND step_b = NEW.step_b) BEGIN
  SELECT RAISE(ABORT, 'sealed: commutation');
END;
CREATE TRIGGER accord_fields_sealed BEFORE INSERT ON accord_fields
WHEN EXISTS (SELECT 1 FROM threads) AND NOT EXISTS (SELECT 1 FROM accord_fields WHERE field = NEW.field) BEGIN
  SELECT RAISE(ABORT, 'sealed: accord_fields');
END;
CREATE TRIGGER meta_sealed BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM threads) AND NOT EXISTS (SELECT 1 FROM meta WHERE key = NEW.key) BEGIN
  SELECT RAISE(ABORT, 'sealed: meta');
END;

-- A turn writes inside its commit: after the commit's row, before its thread moves. Nothing joins a past turn.
CREATE TRIGGER thread_events_turn BEFORE INSERT ON thread_events
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: thread_events');
END;
CREATE TRIGGER receipts_turn BEFORE INSERT ON receipts
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: receipts');
END;
CREATE TRIGGER rejections_turn BEFORE INSERT ON rejections
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: rejections');
END;
CREATE TRIGGER transitions_turn BEFORE INSERT ON transitions
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: transitions');
END;
CREATE TRIGGER outbox_turn BEFORE INSERT ON outbox
WHEN NEW.kind <> 'effect' AND NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: outbox');
END;
CREATE TRIGGER controls_turn BEFORE INSERT ON controls
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: controls');
END;
CREATE TRIGGER resolutions_turn BEFORE INSERT ON resolutions
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: resolutions');
END;
-- The source's record is the one right before the merge that it decides, and tells what stands in its way.
CREATE TRIGGER obstructions_turn BEFORE INSERT ON obstructions
WHEN NOT EXISTS (SELECT 1 FROM under_way
    WHERE thread = NEW.other AND NEW.seq - 1 > from_seq AND NEW.seq - 1 <= to_seq)
  AND NOT EXISTS (SELECT 1 FROM obstructions WHERE obstruction_id = NEW.obstruction_id) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: obstructions');
END;
-- Events and fibers belong to no thread; a history says where it was first reached.
CREATE TRIGGER events_turn BEFORE INSERT ON events
WHEN NOT EXISTS (SELECT 1 FROM under_way)
  AND NOT EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: events');
END;
CREATE TRIGGER histories_turn BEFORE INSERT ON histories
WHEN NOT EXISTS (SELECT 1 FROM under_way WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq)
  AND NOT EXISTS (SELECT 1 FROM histories WHERE history_id = NEW.history_id) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: histories');
END;
CREATE TRIGGER fibers_turn BEFORE INSERT ON fibers
WHEN NOT EXISTS (SELECT 1 FROM under_way)
  AND NOT EXISTS (SELECT 1 FROM fibers WHERE fiber_id = NEW.fiber_id) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: fibers');
END;
CREATE TRIGGER fiber_elements_turn BEFORE INSERT ON fiber_elements
WHEN NOT EXISTS (SELECT 1 FROM under_way)
  AND NOT EXISTS (SELECT 1 FROM fiber_elements WHERE fiber_id = NEW.fiber_id AND elem = NEW.elem) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: fiber_elements');
END;
CREATE TRIGGER commits_begin AFTER INSERT ON commits BEGIN
  INSERT INTO under_way (thread, from_seq, to_seq) VALUES (NEW.thread, NEW.from_seq, NEW.to_seq);
END;
CREATE TRIGGER threads_arrive AFTER UPDATE OF seq ON threads BEGIN
  DELETE FROM under_way WHERE thread = NEW.thread;
END;
CREATE TRIGGER under_way_insert BEFORE INSERT ON under_way
WHEN NOT EXISTS (SELECT 1 FROM threads t JOIN commits c ON c.thread = t.thread AND c.from_seq = t.seq
  WHERE t.thread = NEW.thread AND (c.from_seq, c.to_seq) IS (NEW.from_seq, NEW.to_seq)) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: under_way');
END;
CREATE TRIGGER under_way_update BEFORE UPDATE ON under_way BEGIN SELECT RAISE(ABORT, 'write_once: under_way'); END;
CREATE TRIGGER under_way_delete BEFORE DELETE ON under_way
WHEN EXISTS (SELECT 1 FROM threads WHERE thread = OLD.thread AND seq = OLD.from_seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: under_way');
END;
CREATE TRIGGER commits_once BEFORE INSERT ON commits
WHEN EXISTS (SELECT 1 FROM under_way WHERE thread = NEW.thread AND from_seq = NEW.from_seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: commits');
END;
CREATE TRIGGER threads_state BEFORE UPDATE OF state ON threads WHEN NEW.state <> OLD.state AND NEW.seq = OLD.seq BEGIN
  SELECT RAISE(ABORT, 'a thread''s state moves with the thread');
END;

-- Written by `make tables` from kernel/lifecycle.toml: one terminal, and that is the end of a step.
CREATE TRIGGER events_terminal BEFORE INSERT ON events
WHEN NEW.lifecycle <> 'OPEN>ACTIVE>COMMIT>CLOSE' BEGIN
  SELECT RAISE(ABORT, 'terminal: an event is a step that was committed, once');
END;
CREATE TRIGGER rejections_terminal BEFORE INSERT ON rejections
WHEN NEW.lifecycle NOT IN ('', 'OPEN>ACTIVE>ABORT>CLOSE') BEGIN
  SELECT RAISE(ABORT, 'terminal: a refused step has none, or was aborted once');
END;
CREATE TRIGGER thread_events_second_terminal BEFORE INSERT ON thread_events
WHEN EXISTS (SELECT 1 FROM rejections WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'terminal: the step was refused');
END;
CREATE TRIGGER rejections_second_terminal BEFORE INSERT ON rejections
WHEN EXISTS (SELECT 1 FROM thread_events WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'terminal: the step was committed');
END;
-- Up to here it is written by `make tables`.

-- Rows that hang on an event or history come with it. Up to these numbers everything belongs to turns that are over.
CREATE TABLE sealed (
  part TEXT PRIMARY KEY CHECK (part IN ('events', 'histories')), number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER threads_seal AFTER UPDATE OF seq ON threads BEGIN
  INSERT INTO sealed (part, number)
  SELECT 'events', number FROM (SELECT number FROM events ORDER BY number DESC LIMIT 1)
  WHERE number IS NOT (SELECT number FROM sealed WHERE part = 'events')
  ON CONFLICT (part) DO UPDATE SET number = max(number, excluded.number);
  INSERT INTO sealed (part, number)
  SELECT 'histories', number FROM (SELECT number FROM histories ORDER BY number DESC LIMIT 1)
  WHERE number IS NOT (SELECT number FROM sealed WHERE part = 'histories')
  ON CONFLICT (part) DO UPDATE SET number = max(number, excluded.number);
END;
CREATE TRIGGER sealed_once BEFORE INSERT ON sealed
WHEN NEW.number <= (SELECT number FROM sealed WHERE part = NEW.part) BEGIN
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER sealed_beyond BEFORE INSERT ON sealed
WHEN NEW.number > (SELECT CASE NEW.part WHEN 'events' THEN (SELECT max(number) FROM events)
    ELSE (SELECT max(number) FROM histories) END) BEGIN
  SELECT RAISE(ABORT, 'write_once: sealed');
END;
CREATE TRIGGER sealed_update BEFORE UPDATE ON sealed
WHEN NEW.number < OLD.number OR NEW.part <> OLD.part
  OR NEW.number > (SELECT CASE NEW.part WHEN 'events' THEN (SELECT max(number) FROM events)
    ELSE (SELECT max(number) FROM histories) END) BEGIN
  SELECT RAISE(ABORT, 'write_once: sealed');
END;
CREATE TRIGGER sealed_delete BEFORE DELETE ON sealed BEGIN SELECT RAISE(ABORT, 'write_once: sealed'); END;
CREATE TRIGGER event_claims_sealed BEFORE INSERT ON event_claims
WHEN (NEW.event <= (SELECT number FROM sealed WHERE part = 'events')
    AND NOT EXISTS (SELECT 1 FROM event_claims WHERE event = NEW.event AND claim = NEW.claim AND touch = NEW.touch))
  OR NOT EXISTS (SELECT 1 FROM events WHERE number = NEW.event) BEGIN
  SELECT CASE WHEN EXISTS (SELECT 1 FROM events WHERE number = NEW.event)
    THEN RAISE(ABORT, 'sealed: event_claims') ELSE RAISE(ABORT, 'missing: events') END;
END;
CREATE TRIGGER event_contributions_sealed BEFORE INSERT ON event_contributions
WHEN (NEW.event <= (SELECT number FROM sealed WHERE part = 'events')
    AND NOT EXISTS (SELECT 1 FROM event_contributions WHERE event = NEW.event AND field = NEW.field))
  OR NOT EXISTS (SELECT 1 FROM events WHERE number = NEW.event) BEGIN
  SELECT CASE WHEN EXISTS (SELECT 1 FROM events WHERE number = NEW.event)
    THEN RAISE(ABORT, 'sealed: event_contributions') ELSE RAISE(ABORT, 'missing: events') END;
END;
-- A thread may come by another way to a history that a fork of it has reached: then its turn is the one under way.
CREATE TRIGGER history_extensions_sealed BEFORE INSERT ON history_extensions
WHEN NEW.target <= (SELECT number FROM sealed WHERE part = 'histories')
  AND NOT EXISTS (SELECT 1 FROM history_extensions WHERE target = NEW.target AND step = NEW.step)
  AND NOT EXISTS (SELECT 1 FROM under_way u
    JOIN thread_events te ON te.thread = u.thread AND te.seq > u.from_seq AND te.seq <= u.to_seq
    JOIN histories h ON h.history_id = te.history_id JOIN events e ON e.event_id = te.event_id
    WHERE h.number = NEW.target AND e.step = NEW.step) BEGIN
  SELECT RAISE(ABORT, 'sealed: history_extensions');
END;

-- Runs: opened, tried, answered and ended once each, inside a commit of their thread; a run ends when it is answered.
CREATE TRIGGER runs_once BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: runs');
END;
CREATE TRIGGER runs_turn BEFORE INSERT ON runs
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: runs');
END;
CREATE TRIGGER run_attempts_once BEFORE INSERT ON run_attempts
WHEN EXISTS (SELECT 1 FROM run_attempts WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt) BEGIN
  SELECT RAISE(ABORT, 'write_once: run_attempts');
END;
CREATE TRIGGER run_attempts_turn BEFORE INSERT ON run_attempts
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.at_seq > from_seq AND NEW.at_seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: run_attempts');
END;
CREATE TRIGGER run_answers_once BEFORE INSERT ON run_answers
WHEN EXISTS (SELECT 1 FROM run_answers WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt) BEGIN
  SELECT RAISE(ABORT, 'write_once: run_answers');
END;
CREATE TRIGGER run_answers_turn BEFORE INSERT ON run_answers
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.at_seq > from_seq AND NEW.at_seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: run_answers');
END;
CREATE TRIGGER run_ends_once BEFORE INSERT ON run_ends
WHEN EXISTS (SELECT 1 FROM run_ends WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: run_ends');
END;
CREATE TRIGGER run_ends_turn BEFORE INSERT ON run_ends
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.at_seq > from_seq AND NEW.at_seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: run_ends');
END;
CREATE TRIGGER runs_plan BEFORE INSERT ON runs
WHEN NOT EXISTS (SELECT 1 FROM frozen_plans WHERE frozen_digest = NEW.frozen_digest) BEGIN
  SELECT RAISE(ABORT, 'missing: frozen_plans');
END;
CREATE TRIGGER run_attempts_open BEFORE INSERT ON run_attempts
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE thread = NEW.thread AND seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM run_ends WHERE thread = NEW.thread AND seq = NEW.seq)
  OR NEW.attempt IS NOT 1 + (SELECT count(*) FROM run_answers WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'an attempt is of an open run, after the one before it was answered');
END;
CREATE TRIGGER run_answers_attempt BEFORE INSERT ON run_answers
WHEN NOT EXISTS (SELECT 1 FROM run_attempts
    WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt AND at_seq < NEW.at_seq)
  OR NOT EXISTS (SELECT 1 FROM frozen_plans WHERE frozen_digest = NEW.frozen_digest)
  OR EXISTS (SELECT 1 FROM run_ends WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'an answer is of an attempt of an open run');
END;
CREATE TRIGGER run_ends_answer BEFORE INSERT ON run_ends
WHEN NOT EXISTS (SELECT 1 FROM run_answers
    WHERE thread = NEW.thread AND seq = NEW.seq AND at_seq = NEW.at_seq)
  OR EXISTS (SELECT 1 FROM run_ends WHERE thread = NEW.thread AND at_seq = NEW.at_seq) BEGIN
  SELECT RAISE(ABORT, 'terminal: a run ends by an answer, once');
END;
CREATE TRIGGER decisions_once BEFORE INSERT ON decisions
WHEN EXISTS (SELECT 1 FROM decisions WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt
    AND place = NEW.place) BEGIN
  SELECT RAISE(ABORT, 'write_once: decisions');
END;
CREATE TRIGGER decisions_turn BEFORE INSERT ON decisions
WHEN NOT EXISTS (SELECT 1 FROM under_way u JOIN run_answers a ON a.thread = u.thread
  WHERE a.thread = NEW.thread AND a.seq = NEW.seq AND a.attempt = NEW.attempt
    AND a.at_seq > u.from_seq AND a.at_seq <= u.to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: decisions');
END;
CREATE TRIGGER iterations_once BEFORE INSERT ON iterations
WHEN EXISTS (SELECT 1 FROM iterations WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt
    AND number = NEW.number) BEGIN
  SELECT RAISE(ABORT, 'write_once: iterations');
END;
CREATE TRIGGER iterations_turn BEFORE INSERT ON iterations
WHEN NOT EXISTS (SELECT 1 FROM under_way u JOIN run_answers a ON a.thread = u.thread
  WHERE a.thread = NEW.thread AND a.seq = NEW.seq AND a.attempt = NEW.attempt
    AND a.at_seq > u.from_seq AND a.at_seq <= u.to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: iterations');
END;
CREATE TRIGGER frozen_plans_once BEFORE INSERT ON frozen_plans
WHEN EXISTS (SELECT 1 FROM frozen_plans WHERE frozen_digest = NEW.frozen_digest) BEGIN
  SELECT RAISE(ABORT, 'write_once: frozen_plans') WHERE NOT EXISTS (
    SELECT 1 FROM frozen_plans WHERE frozen_digest = NEW.frozen_digest AND content = NEW.content);
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER frozen_plans_turn BEFORE INSERT ON frozen_plans
WHEN NOT EXISTS (SELECT 1 FROM under_way)
  AND NOT EXISTS (SELECT 1 FROM frozen_plans WHERE frozen_digest = NEW.frozen_digest) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: frozen_plans');
END;
CREATE TRIGGER runs_update BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'write_once: runs'); END;
CREATE TRIGGER runs_delete BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'write_once: runs'); END;
CREATE TRIGGER run_attempts_update BEFORE UPDATE ON run_attempts BEGIN
  SELECT RAISE(ABORT, 'write_once: run_attempts');
END;
CREATE TRIGGER run_attempts_delete BEFORE DELETE ON run_attempts BEGIN
  SELECT RAISE(ABORT, 'write_once: run_attempts');
END;
CREATE TRIGGER run_answers_update BEFORE UPDATE ON run_answers BEGIN
  SELECT RAISE(ABORT, 'write_once: run_answers');
END;
CREATE TRIGGER run_answers_delete BEFORE DELETE ON run_answers BEGIN
  SELECT RAISE(ABORT, 'write_once: run_answers');
END;
CREATE TRIGGER run_ends_update BEFORE UPDATE ON run_ends BEGIN SELECT RAISE(ABORT, 'write_once: run_ends'); END;
CREATE TRIGGER run_ends_delete BEFORE DELETE ON run_ends BEGIN SELECT RAISE(ABORT, 'write_once: run_ends'); END;
CREATE TRIGGER decisions_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'write_once: decisions'); END;
CREATE TRIGGER decisions_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'write_once: decisions'); END;
CREATE TRIGGER iterations_update BEFORE UPDATE ON iterations BEGIN SELECT RAISE(ABORT, 'write_once: iterations'); END;
CREATE TRIGGER iterations_delete BEFORE DELETE ON iterations BEGIN SELECT RAISE(ABORT, 'write_once: iterations'); END;
CREATE TRIGGER frozen_plans_update BEFORE UPDATE ON frozen_plans BEGIN
  SELECT RAISE(ABORT, 'write_once: frozen_plans');
END;
CREATE TRIGGER frozen_plans_delete BEFORE DELETE ON frozen_plans BEGIN
  SELECT RAISE(ABORT, 'write_once: frozen_plans');
END;
-- Which runs are open follows from the rows of runs and of their ends.
CREATE TRIGGER runs_begin AFTER INSERT ON runs BEGIN
  INSERT INTO runs_open (thread, seq) VALUES (NEW.thread, NEW.seq);
END;
CREATE TRIGGER runs_ended AFTER INSERT ON run_ends BEGIN
  DELETE FROM runs_open WHERE thread = NEW.thread AND seq = NEW.seq;
END;
CREATE TRIGGER runs_open_insert BEFORE INSERT ON runs_open
WHEN NOT EXISTS (SELECT 1 FROM runs WHERE thread = NEW.thread AND seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM run_ends WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'a run is open until it ends: runs_open');
END;
CREATE TRIGGER runs_open_update BEFORE UPDATE ON runs_open BEGIN
  SELECT RAISE(ABORT, 'a run is open until it ends: runs_open');
END;
CREATE TRIGGER runs_open_delete BEFORE DELETE ON runs_open
WHEN NOT EXISTS (SELECT 1 FROM run_ends WHERE thread = OLD.thread AND seq = OLD.seq) BEGIN
  SELECT RAISE(ABORT, 'a run is open until it ends: runs_open');
END;
-- Drafts are no evidence: they come and go, and nothing reads them once their attempt is answered.
CREATE TRIGGER run_drafts_open BEFORE INSERT ON run_drafts
WHEN NOT EXISTS (SELECT 1 FROM run_attempts
    WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt)
  OR EXISTS (SELECT 1 FROM run_answers WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt)
  OR EXISTS (SELECT 1 FROM run_drafts
    WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt AND place = NEW.place) BEGIN
  SELECT RAISE(IGNORE);
END;
CREATE TRIGGER run_drafts_answered AFTER INSERT ON run_answers BEGIN
  DELETE FROM run_drafts WHERE thread = NEW.thread AND seq = NEW.seq AND attempt = NEW.attempt;
END;

-- Held steps: held and released once each, inside a commit of their thread.
CREATE TRIGGER held_once BEFORE INSERT ON held
WHEN EXISTS (SELECT 1 FROM held WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: held');
END;
CREATE TRIGGER held_turn BEFORE INSERT ON held
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.seq > from_seq AND NEW.seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: held');
END;
CREATE TRIGGER held_ends_once BEFORE INSERT ON held_ends
WHEN EXISTS (SELECT 1 FROM held_ends WHERE thread = NEW.thread AND (seq = NEW.seq OR at_seq = NEW.at_seq)) BEGIN
  SELECT RAISE(ABORT, 'write_once: held_ends');
END;
CREATE TRIGGER held_ends_turn BEFORE INSERT ON held_ends
WHEN NOT EXISTS (SELECT 1 FROM under_way
  WHERE thread = NEW.thread AND NEW.at_seq > from_seq AND NEW.at_seq <= to_seq) BEGIN
  SELECT RAISE(ABORT, 'outside a commit: held_ends');
END;
CREATE TRIGGER held_ends_held BEFORE INSERT ON held_ends
WHEN NOT EXISTS (SELECT 1 FROM held WHERE thread = NEW.thread AND seq = NEW.seq AND seq < NEW.at_seq) BEGIN
  SELECT RAISE(ABORT, 'missing: held');
END;
CREATE TRIGGER held_update BEFORE UPDATE ON held BEGIN SELECT RAISE(ABORT, 'write_once: held'); END;
CREATE TRIGGER held_delete BEFORE DELETE ON held BEGIN SELECT RAISE(ABORT, 'write_once: held'); END;
CREATE TRIGGER held_ends_update BEFORE UPDATE ON held_ends BEGIN SELECT RAISE(ABORT, 'write_once: held_ends'); END;
CREATE TRIGGER held_ends_delete BEFORE DELETE ON held_ends BEGIN SELECT RAISE(ABORT, 'write_once: held_ends'); END;

-- The control lane: an effect is of where its thread stands, and what it does to the thread comes with its row.
CREATE TRIGGER control_effects_here BEFORE INSERT ON control_effects BEGIN
  SELECT RAISE(ABORT, 'an effect is of where its thread stands') FROM (SELECT 1)
  LEFT JOIN threads t ON t.thread = NEW.thread
  WHERE (NEW.at_seq, NEW.at_head) IS NOT (coalesce(t.seq, 0), coalesce(t.head, ''))
    OR NEW.epoch IS NOT coalesce(t.epoch, 0) + (NEW.outcome = 'applied' AND NEW.record IN ('cancel', 'close'))
    OR (NEW.outcome = 'applied' AND t.thread IS NULL);
END;
CREATE TRIGGER control_effects_once BEFORE INSERT ON control_effects
WHEN EXISTS (SELECT 1 FROM control_effects WHERE thread = NEW.thread AND control_seq = NEW.control_seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: control_effects');
END;
CREATE TRIGGER control_effects_update BEFORE UPDATE ON control_effects BEGIN
  SELECT RAISE(ABORT, 'write_once: control_effects');
END;
CREATE TRIGGER control_effects_delete BEFORE DELETE ON control_effects BEGIN
  SELECT RAISE(ABORT, 'write_once: control_effects');
END;
-- To stop a thread ends its pause too: its steps are to be answered. A word that is foretold behind a later one, or behind
-- a stop, as two stores may have had them, pauses nothing. The messages of a thread are numbered in the order in which the
-- effects took hold, which need not be that of the control stream where nodes share a store.
CREATE TRIGGER control_effects_take AFTER INSERT ON control_effects BEGIN
  UPDATE threads SET epoch = NEW.epoch, fenced = iif(NEW.payload ->> '$.request' IS NULL, 0, fenced)
  WHERE thread = NEW.thread AND epoch <> NEW.epoch;
  UPDATE threads SET fenced = NEW.record = 'pause'
  WHERE thread = NEW.thread AND NEW.outcome = 'applied' AND NEW.record IN ('pause', 'resume')
    AND NOT EXISTS (SELECT 1 FROM thread_stops WHERE thread = NEW.thread)
    AND NOT EXISTS (SELECT 1 FROM control_effects WHERE thread = NEW.thread AND control_seq > NEW.control_seq
      AND outcome = 'applied' AND record IN ('pause', 'resume'));
  INSERT INTO outbox (thread, seq, kind, body) VALUES (
    NEW.thread, (SELECT count(*) FROM control_effects WHERE thread = NEW.thread), 'effect',
    json_object('thread', NEW.thread, 'control', json_object('sequence', NEW.control_seq, 'record', NEW.record,
      'key', NEW.step_key, 'outcome', NEW.outcome, 'at_sequence', NEW.at_seq, 'at_history', NEW.at_head,
      'epoch', NEW.epoch, 'payload', json(iif(NEW.payload = '', 'null', NEW.payload)),
      'evidence', json(NEW.evidence), 'refusal', json(iif(NEW.refusal = '', 'null', NEW.refusal)))));
END;
-- A run that was told to end gives no event, whoever answers for it.
CREATE TRIGGER run_ends_cancelled BEFORE INSERT ON run_ends
WHEN NEW.lifecycle = 'OPEN>ACTIVE>COMMIT>CLOSE'
  AND EXISTS (SELECT 1 FROM run_stops WHERE thread = NEW.thread AND seq = NEW.seq) BEGIN
  SELECT RAISE(ABORT, 'cancelled');
END;
-- Epochs and pauses come from effects alone.
CREATE TRIGGER threads_told BEFORE UPDATE OF epoch, fenced ON threads
WHEN NEW.epoch > OLD.epoch OR NEW.fenced IS NOT OLD.fenced BEGIN
  SELECT RAISE(ABORT, 'a thread is stopped and paused by what it is told')
  WHERE NEW.epoch IS NOT (SELECT count(*) FROM thread_fences WHERE thread = NEW.thread)
    OR NEW.fenced IS NOT (NOT EXISTS (SELECT 1 FROM thread_stops WHERE thread = NEW.thread) AND coalesce((
      SELECT record = 'pause' FROM control_effects
      WHERE thread = NEW.thread AND outcome = 'applied' AND record IN ('pause', 'resume')
      ORDER BY control_seq DESC LIMIT 1), 0));
END;
-- What is foretold takes hold where its thread comes to; a turn ends there, so that it is before whatever comes after.
-- Where two stores lived on one stream, the feed may tell of a record twice: what it told first counts.
CREATE TRIGGER foretold_once BEFORE INSERT ON foretold BEGIN
  SELECT RAISE(IGNORE) WHERE EXISTS (SELECT 1 FROM foretold WHERE thread = NEW.thread
      AND (place = NEW.place OR control_seq = NEW.control_seq))
    OR EXISTS (SELECT 1 FROM control_effects WHERE thread = NEW.thread AND control_seq = NEW.control_seq)
    OR EXISTS (SELECT 1 FROM threads WHERE thread = NEW.thread AND seq > NEW.at_seq);
  SELECT RAISE(ABORT, 'missing: threads')
  WHERE NEW.at_seq > 0 AND NOT EXISTS (SELECT 1 FROM threads WHERE thread = NEW.thread);
END;
CREATE TRIGGER foretold_update BEFORE UPDATE ON foretold BEGIN SELECT RAISE(ABORT, 'write_once: foretold'); END;
CREATE TRIGGER foretold_delete BEFORE DELETE ON foretold
WHEN NOT EXISTS (SELECT 1 FROM control_effects WHERE thread = OLD.thread AND control_seq = OLD.control_seq) BEGIN
  SELECT RAISE(ABORT, 'write_once: foretold');
END;
CREATE TRIGGER foretold_here AFTER INSERT ON foretold
WHEN NEW.at_seq = coalesce((SELECT seq FROM threads WHERE thread = NEW.thread), 0) BEGIN
  INSERT INTO control_effects
    (thread, control_seq, record, step_key, at_seq, at_head, epoch, payload, evidence, outcome, refusal)
  SELECT NEW.thread, NEW.control_seq, NEW.record, NEW.step_key, NEW.at_seq, coalesce(t.head, ''),
    coalesce(t.epoch, 0) + (NEW.outcome = 'applied' AND NEW.record IN ('cancel', 'close')),
    NEW.payload, NEW.evidence, NEW.outcome, NEW.refusal
  FROM (SELECT 1) LEFT JOIN threads t ON t.thread = NEW.thread;
  DELETE FROM foretold WHERE thread = NEW.thread AND place = NEW.place;
END;
CREATE TRIGGER threads_foretold AFTER UPDATE OF seq ON threads
WHEN EXISTS (SELECT 1 FROM foretold WHERE thread = NEW.thread AND at_seq = NEW.seq) BEGIN
  INSERT INTO control_effects
    (thread, control_seq, record, step_key, at_seq, at_head, epoch, payload, evidence, outcome, refusal)
  SELECT thread, control_seq, record, step_key, at_seq, NEW.head,
    NEW.epoch + sum(outcome = 'applied' AND record IN ('cancel', 'close')) OVER (ORDER BY place),
    payload, evidence, outcome, refusal
  FROM foretold WHERE thread = NEW.thread AND at_seq = NEW.seq ORDER BY place;
  DELETE FROM foretold WHERE thread = NEW.thread AND at_seq = NEW.seq;
END;
CREATE TRIGGER commits_foretold BEFORE INSERT ON commits BEGIN
  SELECT RAISE(ABORT, 'a turn ends where its thread was told something') FROM foretold
  WHERE thread = NEW.thread AND at_seq >= NEW.from_seq AND at_seq < NEW.to_seq;
END;
CREATE TRIGGER outbox_effect BEFORE INSERT ON outbox
WHEN NEW.kind = 'effect' AND (
  NEW.seq NOT BETWEEN 1 AND (SELECT count(*) FROM control_effects WHERE thread = NEW.thread)
  OR NOT EXISTS (SELECT 1 FROM control_effects
    WHERE thread = NEW.thread AND control_seq = NEW.body ->> '$.control.sequence')) BEGIN
  SELECT RAISE(ABORT, 'missing: control_effects');
END;
