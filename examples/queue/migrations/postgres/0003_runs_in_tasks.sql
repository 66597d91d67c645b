-- Whether the last run waits or is held stands in the task's row: a task moves on by one update of one row. Partial
-- indexes are the lists of waiting and of held runs, and of what can expire.
ALTER TABLE tasks
    ADD COLUMN position    BIGINT, -- place among the waiting runs; null unless the last run waits
    ADD COLUMN claimed     BIGINT, -- when it was claimed, and
    ADD COLUMN taken_until BIGINT, -- until when; null unless a worker holds the last run
    ADD COLUMN awaited     BIGINT NOT NULL DEFAULT 0; -- 1 if other tasks depend on it

UPDATE tasks SET position = p.position FROM pending p WHERE p.task_id = tasks.task_id;
UPDATE tasks SET claimed = l.claimed, taken_until = l.taken_until FROM leases l WHERE l.task_id = tasks.task_id;
UPDATE tasks SET awaited = 1 WHERE EXISTS (SELECT 1 FROM dependencies d WHERE d.required_id = tasks.task_id);

DROP TABLE pending;
DROP TABLE leases;
DROP INDEX tasks_by_expiry;
CREATE INDEX waiting_in_order ON tasks (task_queue_id, priority DESC, position) WHERE position IS NOT NULL;
CREATE INDEX held_by_end ON tasks (taken_until) WHERE taken_until IS NOT NULL;
CREATE INDEX held_by_claim ON tasks (task_queue_id, claimed, task_id) WHERE claimed IS NOT NULL;
CREATE INDEX resolved_by_expiry ON tasks (expires) WHERE is_open = 0;
