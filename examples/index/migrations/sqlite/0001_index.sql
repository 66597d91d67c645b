-- Times are milliseconds since 1970.

-- What stands under a name: its last word, and the namespace that the words before make up. Data is a JSON object.
-- "since" is when the task finished, or was inserted: of tasks of equal rank the latest stays, in whatever order they come.
CREATE TABLE tasks (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    task_id TEXT NOT NULL,
    rank REAL NOT NULL,
    data TEXT NOT NULL,
    expires INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX tasks_to_purge ON tasks (expires);

CREATE TABLE namespaces (
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX namespaces_to_purge ON namespaces (expires);

-- Finished tasks that are still to be looked at. AUTOINCREMENT: an id is never used again.
CREATE TABLE finished (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT;
