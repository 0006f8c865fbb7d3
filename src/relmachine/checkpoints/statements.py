"""Every statement that checkpoints need, the same on both databases. Writes may be repeated."""

from __future__ import annotations

CHECKPOINT = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_id, run_id, versions, kind, body,
  metadata_kind, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET parent_id = excluded.parent_id,
  run_id = excluded.run_id, versions = excluded.versions, kind = excluded.kind, body = excluded.body,
  metadata_kind = excluded.metadata_kind, metadata = excluded.metadata
"""
VALUE = """
INSERT INTO checkpoint_values (thread_id, checkpoint_ns, channel, version, kind, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO UPDATE SET kind = excluded.kind, body = excluded.body
"""
WRITE = """
INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, place, task_path, channel, kind, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, place) DO UPDATE SET task_path = excluded.task_path,
  channel = excluded.channel, kind = excluded.kind, body = excluded.body WHERE excluded.place < 0
"""
"""A task that runs again keeps what it wrote first; of what LangGraph writes itself the last one counts."""

FOUND = """
SELECT c.checkpoint_id, c.thread_id, c.checkpoint_ns, c.metadata_kind, c.metadata FROM checkpoints c
WHERE (?1 IS NULL OR c.thread_id = ?1) AND (?2 IS NULL OR c.checkpoint_ns = ?2)
  AND (?3 IS NULL OR c.checkpoint_id = ?3) AND (?4 IS NULL OR c.checkpoint_id < ?4)
  AND (?5 IS NULL OR (c.checkpoint_id, c.thread_id, c.checkpoint_ns) < (?5, ?6, ?7))
ORDER BY c.checkpoint_id DESC, c.thread_id DESC, c.checkpoint_ns DESC LIMIT ?8
"""
"""Which checkpoints there are, newest first: thread, namespace, id, before; then where the page before ended."""

WHOLE = """
SELECT c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_id, c.kind, c.body, c.metadata_kind, c.metadata,
  (SELECT json_group_array(json_array(v.channel, v.kind, v.body)) FROM json_each(c.versions) j
   JOIN checkpoint_values v ON v.thread_id = c.thread_id AND v.checkpoint_ns = c.checkpoint_ns
     AND v.channel = j.key AND v.version = CAST(j.value AS TEXT)),
  (SELECT json_group_array(json_array(w.task_id, w.channel, w.kind, w.body)) FROM
    (SELECT * FROM checkpoint_writes
     WHERE thread_id = c.thread_id AND checkpoint_ns = c.checkpoint_ns AND checkpoint_id = c.checkpoint_id
     ORDER BY task_path, task_id, place) w)
FROM checkpoints c JOIN json_each(?) k ON c.thread_id = k.value ->> 0 AND c.checkpoint_ns = k.value ->> 1
  AND c.checkpoint_id = k.value ->> 2
ORDER BY k.key
"""
"""Checkpoints, named as [thread, namespace, id], with their values and the writes that wait for the next one."""

LATEST = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ?"

LINEAGE = """
SELECT c.checkpoint_ns, c.checkpoint_id, c.parent_id, c.metadata_kind, c.metadata,
  (SELECT json_group_array(v.channel) FROM json_each(c.versions) j
   JOIN checkpoint_values v ON v.thread_id = c.thread_id AND v.checkpoint_ns = c.checkpoint_ns
     AND v.channel = j.key AND v.version = CAST(j.value AS TEXT) AND v.kind <> 'empty')
FROM checkpoints c WHERE c.thread_id = ? ORDER BY c.checkpoint_ns, c.checkpoint_id DESC
"""
"""What a thread's checkpoints descend from, with the channels that have a value of their own there."""

DELETED_THREAD = tuple(
    f"DELETE FROM {table} WHERE thread_id = ?" for table in ("checkpoints", "checkpoint_values", "checkpoint_writes")
)
DELETED_RUNS = (
    "DELETE FROM checkpoint_writes WHERE (thread_id, checkpoint_ns, checkpoint_id) IN (SELECT thread_id, checkpoint_ns,"
    " checkpoint_id FROM checkpoints WHERE run_id IN (SELECT value FROM json_each(?)))",
    "DELETE FROM checkpoints WHERE run_id IN (SELECT value FROM json_each(?))",
)
THREADS_OF_RUNS = "SELECT DISTINCT thread_id FROM checkpoints WHERE run_id IN (SELECT value FROM json_each(?))"
DROPPED = tuple(
    f"DELETE FROM {table} WHERE thread_id = ?1 AND (checkpoint_ns, checkpoint_id) IN"
    " (SELECT value ->> 0, value ->> 1 FROM json_each(?2))"
    for table in ("checkpoint_writes", "checkpoints")
)
"""Checkpoints of a thread, named as [namespace, id]."""

UNUSED_VALUES = """
DELETE FROM checkpoint_values WHERE thread_id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
  SELECT 1 FROM checkpoints c JOIN json_each(c.versions) j WHERE c.thread_id = checkpoint_values.thread_id
    AND c.checkpoint_ns = checkpoint_values.checkpoint_ns AND j.key = checkpoint_values.channel
    AND CAST(j.value AS TEXT) = checkpoint_values.version)
"""
COPIED = (
    "INSERT OR REPLACE INTO checkpoints SELECT ?2, checkpoint_ns, checkpoint_id, parent_id, run_id, versions, kind,"
    " body, metadata_kind, metadata FROM checkpoints WHERE thread_id = ?1",
    "INSERT OR REPLACE INTO checkpoint_values SELECT ?2, checkpoint_ns, channel, version, kind, body"
    " FROM checkpoint_values WHERE thread_id = ?1",
    "INSERT OR REPLACE INTO checkpoint_writes SELECT ?2, checkpoint_ns, checkpoint_id, task_id, place, task_path,"
    " channel, kind, body FROM checkpoint_writes WHERE thread_id = ?1",
)
