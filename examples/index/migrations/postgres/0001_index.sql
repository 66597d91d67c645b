-- Times are milliseconds since 1970. Names sort by their bytes everywhere, whatever the database's own order is.

-- What stands under a name: its last word, and the namespace that the words before make up. Data is a JSON object.
-- "since" is when the task finished, or was inserted: of tasks of equal rank the latest stays, in whatever order they come.
CREATE TABLE tasks (
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    task_id TEXT NOT NULL,
    rank DOUBLE PRECISION NOT NULL,
    data TEXT NOT NULL,
    expires BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (namespace, name)
);

CREATE INDEX tasks_to_purge ON tasks (expires);

CREATE TABLE namespaces (
    parent TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (parent, name)
);

CREATE INDEX namespaces_to_purge ON namespaces (expires);

-- Finished tasks that are still to be looked at.
CREATE TABLE finished (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id TEXT NOT NULL,
    since BIGINT NOT NULL
);
