INSERT INTO graphs (graph_id, scopes, routes, metadata, tags, digest, leaves_left, blockers, cancelled, submitted, expires)
VALUES ('fN1SbArXTPSVFNUvaOlinQ', '["a"]', '["x"]', '{"name":"n","description":"d","owner":"o@example.com","source":"https://example.com"}',
    '{"k":"v"}', 'digest', 1, 0, FALSE, 1772600767008, 1803136767008);

INSERT INTO labels (graph_id, label) VALUES ('fN1SbArXTPSVFNUvaOlinQ', 'route:x'), ('fN1SbArXTPSVFNUvaOlinQ', 'tag:k=v');

INSERT INTO nodes (graph_id, task_id, name, digest, deadline, reruns, any_end, leaf, runs, state, failed, forgiven, wish, ready, cancel,
    over, satisfied, due)
VALUES
    ('fN1SbArXTPSVFNUvaOlinQ', 'd0v6m6yoS-aFqLVbUnNe3A', 'build', 'one', 1772604367008, 2, FALSE, FALSE, 1, 'completed', 0, 0, NULL, FALSE,
        FALSE, TRUE, TRUE, NULL),
    ('fN1SbArXTPSVFNUvaOlinQ', 'fN1SbArXTPSVFNUvaOlinQ', 'test', 'two', 1772604367008, 0, FALSE, TRUE, 0, 'unscheduled', 0, 0, NULL, FALSE,
        FALSE, FALSE, FALSE, 1772601067008);

INSERT INTO edges (graph_id, dependent, required)
VALUES ('fN1SbArXTPSVFNUvaOlinQ', 'fN1SbArXTPSVFNUvaOlinQ', 'd0v6m6yoS-aFqLVbUnNe3A');

INSERT INTO submissions (graph_id, digest, creates, body, begun) VALUES ('fN1SbArXTPSVFNUvaOlinQ', 'three', FALSE, '{}', 1772600767008);
