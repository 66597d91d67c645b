-- What a database looks like after 0001_requests.sql and some use; both databases understand it. Later migrations are tested on it.
INSERT INTO requests VALUES ('sample-pool/linux', 'checkout of "main"', 1767323045000);
