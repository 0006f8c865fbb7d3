-- Figures over the whole store, one row. A thread without an event has the empty ordering and the empty history.
WITH
  placed AS (
    SELECT t.thread, coalesce(e.step, '') AS step, coalesce(e.tier, 0) AS tier, te.seq, te.place
    FROM threads t
    LEFT JOIN thread_events te ON te.thread = t.thread
    LEFT JOIN events e ON e.event_id = te.event_id
  ),
  orders AS (
    SELECT group_concat(step, ' ') AS steps FROM (SELECT thread, step FROM placed ORDER BY thread, seq, place)
    GROUP BY thread
  ),
  tiers AS (
    SELECT thread, tier, group_concat(step, ' ') AS steps
    FROM (SELECT thread, tier, step FROM placed ORDER BY thread, tier, step) GROUP BY thread, tier
  ),
  normal_forms AS (
    SELECT group_concat('(' || steps || ')', '') AS text
    FROM (SELECT thread, tier, steps FROM tiers ORDER BY thread, tier) GROUP BY thread
  ),
  standing AS (
    SELECT thread, claim, kind, max(seq) FROM transitions GROUP BY thread, claim
  )
SELECT
  (SELECT count(*) FROM threads) AS threads,
  (SELECT count(*) FROM (SELECT seq FROM receipts UNION SELECT seq FROM rejections)) AS published,
  (SELECT count(*) FROM thread_events)
    - (SELECT count(*) FROM controls JOIN thread_events USING (thread, seq)) AS committed, -- once, where published
  (SELECT count(*) FROM rejections) AS rejected,
  (SELECT json_group_object(code, count) FROM
    (SELECT code, count(*) AS count FROM rejections GROUP BY code ORDER BY code)) AS rejected_by,
  (SELECT count(DISTINCT steps) FROM orders) AS orderings,
  (SELECT count(DISTINCT text) FROM normal_forms) AS histories,
  (SELECT count(*) FROM transitions WHERE kind = 'newly') AS newly_settled,
  (SELECT count(*) FROM transitions WHERE kind = 'superseded') AS superseded,
  (SELECT count(*) FROM standing WHERE kind = 'newly') AS settled,
  (SELECT json_group_object(claim, count) FROM
    (SELECT claim, count(*) AS count FROM standing WHERE kind = 'newly' GROUP BY claim ORDER BY claim))
    AS settled_by_claim,
  (SELECT count(*) FROM fibers WHERE points > 0) AS fibers
