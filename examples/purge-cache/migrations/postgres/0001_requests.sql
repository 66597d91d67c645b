-- When a cache of a worker pool was last asked to be purged, in milliseconds since 1970. Names sort by their bytes, whatever the
-- database's own order is.
CREATE TABLE requests (
    worker_pool TEXT COLLATE "C" NOT NULL,
    cache_name TEXT COLLATE "C" NOT NULL,
    requested BIGINT NOT NULL,
    PRIMARY KEY (worker_pool, cache_name)
);

CREATE INDEX requests_to_expire ON requests (requested);
