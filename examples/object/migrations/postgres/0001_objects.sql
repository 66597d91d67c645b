-- Objects, begun or finished. Times are milliseconds since 1970. Names sort by their bytes, whatever the database's own order is.
CREATE TABLE objects (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    upload_id  TEXT NOT NULL,
    blob_key   TEXT NOT NULL,       -- where its data is; of this object alone
    hashes     TEXT NOT NULL,       -- JSON: checksums by algorithm
    expires    BIGINT NOT NULL,
    finished   BOOLEAN NOT NULL,
    gone_from  BIGINT NOT NULL      -- when it expires, or is given up
);

CREATE INDEX objects_by_end ON objects (gone_from, name);
