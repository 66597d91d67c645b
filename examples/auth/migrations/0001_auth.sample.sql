-- What a database looks like after 0001_auth.sql and some use; both databases understand it. Later migrations are tested on it.
-- The token is "a-token-of-the-sample-client", sealed with the key of the tests (32 times the byte 7).
INSERT INTO clients VALUES
    ('sample/client', 'v1:IRZcITZp6TscU/2eHYK1WZYgPEr97v7zctTr8M0z5SrAY1BjSm7DnBxMMmry8N8fPFHduym/NOk=', 'A client.',
     '["assume:sample:x"]', 1798859045000, FALSE, TRUE, 1767323045000, 1767323046000, 1767323047000, 1767323048000, 3);

INSERT INTO roles VALUES ('sample:*', '["queue:create-task:<..>"]', 'A role.', 1767323045000, 1767323046000);

UPDATE roles_version SET version = 5;

INSERT INTO audit (entity_type, entity_id, action_type, client_id, created) VALUES
    ('client', 'sample/client', 'created', 'static/taskcluster/root', 1767323045000),
    ('role', 'sample:*', 'created', 'static/taskcluster/root', 1767323045000);
