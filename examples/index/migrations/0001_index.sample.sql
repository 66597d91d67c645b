-- What a database looks like after 0001_index.sql and some use; both databases understand it. Later migrations are tested on it.
INSERT INTO tasks VALUES
    ('sample.project', 'linux', 'fN1SbArXTPSVFNUvaOlinQ', 1.5, '{"a":[1]}', 4102444800000, 1767323045000);

INSERT INTO namespaces VALUES ('', 'sample', 4102531200000), ('sample', 'project', 4102531200000);

INSERT INTO finished (task_id, since) VALUES ('fN1SbArXTPSVFNUvaOlinQ', 1767323045000);
