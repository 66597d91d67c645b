-- What a database looks like after 0001_objects.sql and some use; both databases understand it. Later migrations are tested on it.
INSERT INTO objects VALUES
    ('sample/begun', 'a/project', 'Sample-aQACAAAAAAAAAAA', 'object/Sample-bQACAAAAAAAAAAA/sample/begun', '{}',
     4102444800000, FALSE, 1767409445000),
    ('sample/finished', 'a/project', 'Sample-cQACAAAAAAAAAAA', 'object/Sample-dQACAAAAAAAAAAA/sample/finished',
     '{"md5":"5d41402abc4b2a76b9719d911017c592","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}',
     4102444800000, TRUE, 4102444800000);
