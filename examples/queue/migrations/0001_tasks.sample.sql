-- What a database looks like after 0001_tasks.sql and some use; both databases understand it. Later migrations are tested on it.
-- Four tasks of one group: a has completed, a worker holds b, c depends on b, d was cancelled and waits for its second run.
INSERT INTO task_groups (task_group_id, scheduler_id, expires, sealed, unresolved) VALUES
    ('Sample-gQACAAAAAAAAAAA', 'sample', 4102448400000, NULL, 2);

INSERT INTO tasks (task_id, task_queue_id, scheduler_id, project_id, task_group_id, priority, deadline, expires, retries, retries_left,
    requires, unsatisfied, state, is_open, ever_resolved, runs, routes, tags) VALUES
    ('Sample-aQACAAAAAAAAAAA', 'sample/queue', 'sample', 'none', 'Sample-gQACAAAAAAAAAAA', 0, 4102444800000, 4102444800000, 5, 5,
     'all-completed', 0, 'completed', 0, 1,
     '[{"runId":0,"state":"completed","reasonCreated":"scheduled","reasonResolved":"completed","workerGroup":"g","workerId":"w","takenUntil":"2026-01-01T00:20:00.000Z","scheduled":"2026-01-01T00:00:00.000Z","started":"2026-01-01T00:00:01.000Z","resolved":"2026-01-01T00:00:02.000Z"}]',
     '["index.sample"]', '{"kind":"sample"}'),
    ('Sample-bQACAAAAAAAAAAA', 'sample/queue', 'sample', 'none', 'Sample-gQACAAAAAAAAAAA', 0, 4102444800000, 4102444800000, 5, 5,
     'all-completed', 0, 'running', 1, 0,
     '[{"runId":0,"state":"running","reasonCreated":"scheduled","workerGroup":"g","workerId":"w","takenUntil":"2099-12-31T23:00:00.000Z","scheduled":"2026-01-01T00:00:00.000Z","started":"2026-01-01T00:00:01.000Z"}]',
     '[]', '{}'),
    ('Sample-cQACAAAAAAAAAAA', 'sample/queue', 'sample', 'none', 'Sample-gQACAAAAAAAAAAA', 4, 4102444800000, 4102444800000, 5, 5,
     'all-completed', 1, 'unscheduled', 1, 0, '[]', '[]', '{}'),
    ('Sample-dQACAAAAAAAAAAA', 'sample/queue', 'sample', 'none', 'Sample-gQACAAAAAAAAAAA', 2, 4102444800000, 4102444800000, 5, 5,
     'all-completed', 0, 'pending', 1, 1,
     '[{"runId":0,"state":"exception","reasonCreated":"scheduled","reasonResolved":"canceled","scheduled":"2026-01-01T00:00:00.000Z","resolved":"2026-01-01T00:00:02.000Z"},{"runId":1,"state":"pending","reasonCreated":"rerun","scheduled":"2026-01-01T00:00:03.000Z"}]',
     '[]', '{}');

INSERT INTO definitions (task_id, definition) VALUES
    ('Sample-aQACAAAAAAAAAAA', '{}'), ('Sample-bQACAAAAAAAAAAA', '{}'), ('Sample-cQACAAAAAAAAAAA', '{}'), ('Sample-dQACAAAAAAAAAAA', '{}');

INSERT INTO dependencies (required_id, dependent_id, requires, satisfied) VALUES
    ('Sample-bQACAAAAAAAAAAA', 'Sample-cQACAAAAAAAAAAA', 'all-completed', 0);

INSERT INTO pending (task_id, run_id, task_queue_id, priority, deadline, inserted) VALUES
    ('Sample-dQACAAAAAAAAAAA', 1, 'sample/queue', 2, 4102444800000, 1767225603000);

INSERT INTO leases (task_id, run_id, task_queue_id, worker_group, worker_id, claimed, taken_until) VALUES
    ('Sample-bQACAAAAAAAAAAA', 0, 'sample/queue', 'g', 'w', 1767225601000, 4102441200000);

INSERT INTO artifacts (task_id, run_id, name, content_type, content_length, expires, present, storage) VALUES
    ('Sample-aQACAAAAAAAAAAA', 0, 'public/link', 'text/plain', NULL, 4102444800000, 1, '{"storageType":"link","artifact":"public/log"}');

INSERT INTO task_queues (task_queue_id, provisioner_id, expires, last_date_active, description, stability) VALUES
    ('sample/queue', 'sample', 4102444800000, 1767225601000, '', 'experimental');

INSERT INTO workers (task_queue_id, worker_group, worker_id, expires, first_claim, last_date_active, quarantine_until, quarantine_details) VALUES
    ('sample/queue', 'g', 'w', 4102444800000, 1767225600000, 1767225601000, 4102444800000,
     '[{"clientId":"sample","updatedAt":"2026-01-01T00:00:00.000Z","quarantineUntil":"2100-01-01T00:00:00.000Z","quarantineInfo":"a sample"}]');

INSERT INTO recent_tasks (task_queue_id, worker_group, worker_id, task_id, run_id) VALUES
    ('sample/queue', 'g', 'w', 'Sample-aQACAAAAAAAAAAA', 0), ('sample/queue', 'g', 'w', 'Sample-bQACAAAAAAAAAAA', 0);
