-- Objects, begun or finished. Times are milliseconds since 1970.
CREATE TABLE objects (
    name       TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    upload_id  TEXT NOT NULL,
    blob_key   TEXT NOT NULL,       -- where its data is; of this object alone
    hashes     TEXT NOT NULL,       -- JSON: checksums by algorithm
    expires    INTEGER NOT NULL,
    finished   INTEGER NOT NULL,
    gone_from  INTEGER NOT NULL     -- when it expires, or is given up
) STRICT, WITHOUT ROWID;

CREATE INDEX objects_by_end ON objects (gone_from, name);
