-- When a cache of a worker pool was last asked to be purged, in milliseconds since 1970.
CREATE TABLE requests (
    worker_pool TEXT NOT NULL,
    cache_name TEXT NOT NULL,
    requested INTEGER NOT NULL,
    PRIMARY KEY (worker_pool, cache_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_to_expire ON requests (requested);
