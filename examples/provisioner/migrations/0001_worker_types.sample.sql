INSERT INTO worker_types (name, settled, candidate, share, previous, latest, last_modified)
VALUES ('w', 2, 3, 0.25, 1, 3, 1772600767008), ('x', 1, NULL, 0, NULL, 1, 1772600767008);

INSERT INTO versions (worker_type, number, definition)
VALUES
    ('w', 1, '{"description":"","owner":"o@example.com","maxCapacity":4,"scalingRatio":0,"provider":{"kind":"fixed","workers":[]}}'),
    ('w', 2, '{"description":"","owner":"o@example.com","maxCapacity":5,"scalingRatio":0.5,"provider":{"kind":"local-process","command":["sh"]}}'),
    ('w', 3, '{"description":"","owner":"o@example.com","maxCapacity":6,"scalingRatio":0,"provider":{"kind":"local-process","command":["sh"]}}'),
    ('x', 1, '{"description":"","owner":"o@example.com","maxCapacity":4,"scalingRatio":0,"provider":{"kind":"fixed","workers":[]}}');

INSERT INTO instances (instance_id, worker_type, version, provider, worker_group, place, capacity, price, offer, provider_id, state,
    created, since, started, reason, failed)
VALUES
    ('d0v6m6yoS-aFqLVbUnNe3A', 'w', 2, 'local-process', 'local-process', '{"region":"r"}', 1, 0,
        '{"workerGroup":"local-process","place":{},"capacity":1,"price":0,"utility":1,"bias":1,"bid":null}', NULL, 'requested',
        1772600767008, 1772600767008, NULL, NULL, FALSE),
    ('fN1SbArXTPSVFNUvaOlinQ', 'w', 2, 'local-process', 'local-process', '{}', 2, 0.25,
        '{"workerGroup":"local-process","place":{},"capacity":2,"price":0.25,"utility":2,"bias":1,"bid":0.5}', 'p-1', 'running',
        1772600767008, 1772600767008, 1772600767008, NULL, FALSE),
    ('VoFBy5stTPi-8BSwHHXsqg', 'w', 1, 'local-process', 'local-process', '{}', 1, 0,
        '{"workerGroup":"local-process","place":{},"capacity":1,"price":0,"utility":1,"bias":1,"bid":null}', 'p-2', 'ended',
        1772600767008, 1772600767009, NULL, 'exit status 1', TRUE);

INSERT INTO secrets (digest, worker_type, instance_id, secrets, scopes, expires)
VALUES ('one', 'w', 'd0v6m6yoS-aFqLVbUnNe3A', '{}', '[]', 1803136767008), ('two', 'x', NULL, '{"a":"b"}', '["c"]', 1803136767008);

INSERT INTO passes (worker_type, ended, desired, why) VALUES ('w', 1772600767008, 3, '["Because."]');

INSERT INTO lead (place, holder, until, ended) VALUES (1, 'an-old-process', 1772600827008, 1772600767008);

INSERT INTO samples (worker_type, seconds, begins, numbers)
VALUES ('w', 60, 1772600760000, '{"covered":60.0,"pending":120.0,"started":1,"waits":{"3":1}}');
