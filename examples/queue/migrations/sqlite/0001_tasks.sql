-- Tasks as they change, apart from their definitions, which do not. Times are milliseconds since 1970, UTC.
CREATE TABLE tasks (
    task_id       TEXT PRIMARY KEY,
    task_queue_id TEXT NOT NULL,
    scheduler_id  TEXT NOT NULL,
    project_id    TEXT NOT NULL,
    task_group_id TEXT NOT NULL,
    priority      INTEGER NOT NULL, -- 0 lowest .. 6 highest
    deadline      INTEGER NOT NULL,
    expires       INTEGER NOT NULL,
    retries       INTEGER NOT NULL,
    retries_left  INTEGER NOT NULL,
    requires      TEXT NOT NULL,    -- all-completed | all-resolved
    unsatisfied   INTEGER NOT NULL, -- dependencies that are not done
    state         TEXT NOT NULL,
    is_open       INTEGER NOT NULL, -- 1 while the last run is not resolved
    ever_resolved INTEGER NOT NULL,
    runs          TEXT NOT NULL,    -- JSON, as in a task status
    routes        TEXT NOT NULL,    -- JSON
    tags          TEXT NOT NULL     -- JSON
);
CREATE INDEX tasks_by_group ON tasks (task_group_id, task_id);
CREATE INDEX tasks_by_expiry ON tasks (expires);
CREATE INDEX open_tasks_by_deadline ON tasks (deadline) WHERE is_open = 1;

CREATE TABLE definitions (
    task_id    TEXT PRIMARY KEY,
    definition TEXT NOT NULL
);

CREATE TABLE task_groups (
    task_group_id TEXT PRIMARY KEY,
    scheduler_id  TEXT NOT NULL,
    expires       INTEGER NOT NULL,
    sealed        INTEGER,
    unresolved    INTEGER NOT NULL  -- tasks that have never been resolved
);
CREATE INDEX task_groups_by_expiry ON task_groups (expires);

CREATE TABLE dependencies (
    required_id  TEXT NOT NULL,
    dependent_id TEXT NOT NULL,
    requires     TEXT NOT NULL,
    satisfied    INTEGER NOT NULL,
    PRIMARY KEY (required_id, dependent_id)
) WITHOUT ROWID;
CREATE INDEX dependencies_by_dependent ON dependencies (dependent_id);

-- Runs that wait for a worker; the position is the order of insertion.
CREATE TABLE pending (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id       TEXT NOT NULL UNIQUE,
    run_id        INTEGER NOT NULL,
    task_queue_id TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    deadline      INTEGER NOT NULL,
    inserted      INTEGER NOT NULL
);
CREATE INDEX pending_in_order ON pending (task_queue_id, priority DESC, position);

-- Runs that a worker holds: one row per run, renewed in place.
CREATE TABLE leases (
    task_id       TEXT PRIMARY KEY,
    run_id        INTEGER NOT NULL,
    task_queue_id TEXT NOT NULL,
    worker_group  TEXT NOT NULL,
    worker_id     TEXT NOT NULL,
    claimed       INTEGER NOT NULL,
    taken_until   INTEGER NOT NULL
);
CREATE INDEX leases_by_end ON leases (taken_until);
CREATE INDEX leases_by_queue ON leases (task_queue_id, claimed, task_id);

CREATE TABLE artifacts (
    task_id        TEXT NOT NULL,
    run_id         INTEGER NOT NULL,
    name           TEXT NOT NULL,
    content_type   TEXT NOT NULL,
    content_length INTEGER,
    expires        INTEGER NOT NULL,
    present        INTEGER NOT NULL,
    storage        TEXT NOT NULL,   -- JSON: storageType and its details
    PRIMARY KEY (task_id, run_id, name)
);
CREATE INDEX artifacts_by_expiry ON artifacts (expires);

CREATE TABLE task_queues (
    task_queue_id    TEXT PRIMARY KEY,
    provisioner_id   TEXT NOT NULL,
    expires          INTEGER NOT NULL,
    last_date_active INTEGER NOT NULL,
    description      TEXT NOT NULL,
    stability        TEXT NOT NULL
);
CREATE INDEX task_queues_by_provisioner ON task_queues (provisioner_id, task_queue_id);

CREATE TABLE workers (
    task_queue_id      TEXT NOT NULL,
    worker_group       TEXT NOT NULL,
    worker_id          TEXT NOT NULL,
    expires            INTEGER NOT NULL,
    first_claim        INTEGER NOT NULL,
    last_date_active   INTEGER,
    quarantine_until   INTEGER,
    quarantine_details TEXT NOT NULL, -- JSON
    PRIMARY KEY (task_queue_id, worker_group, worker_id)
);

-- What each worker claimed, newest last; trimmed to the last twenty.
CREATE TABLE recent_tasks (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    task_queue_id TEXT NOT NULL,
    worker_group  TEXT NOT NULL,
    worker_id     TEXT NOT NULL,
    task_id       TEXT NOT NULL,
    run_id        INTEGER NOT NULL
);
CREATE INDEX recent_tasks_by_worker ON recent_tasks (task_queue_id, worker_group, worker_id, position);
