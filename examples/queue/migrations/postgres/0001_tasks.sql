-- Tasks as they change, apart from their definitions, which do not. Times are milliseconds since 1970, UTC.
CREATE TABLE tasks (
    task_id       TEXT COLLATE "C" PRIMARY KEY,
    task_queue_id TEXT COLLATE "C" NOT NULL,
    scheduler_id  TEXT COLLATE "C" NOT NULL,
    project_id    TEXT COLLATE "C" NOT NULL,
    task_group_id TEXT COLLATE "C" NOT NULL,
    priority      BIGINT NOT NULL, -- 0 lowest .. 6 highest
    deadline      BIGINT NOT NULL,
    expires       BIGINT NOT NULL,
    retries       BIGINT NOT NULL,
    retries_left  BIGINT NOT NULL,
    requires      TEXT COLLATE "C" NOT NULL,    -- all-completed | all-resolved
    unsatisfied   BIGINT NOT NULL, -- dependencies that are not done
    state         TEXT COLLATE "C" NOT NULL,
    is_open       BIGINT NOT NULL, -- 1 while the last run is not resolved
    ever_resolved BIGINT NOT NULL,
    runs          TEXT NOT NULL,    -- JSON, as in a task status
    routes        TEXT NOT NULL,    -- JSON
    tags          TEXT NOT NULL     -- JSON
) WITH (fillfactor = 70);
CREATE INDEX tasks_by_group ON tasks (task_group_id, task_id);
CREATE INDEX tasks_by_expiry ON tasks (expires);
CREATE INDEX open_tasks_by_deadline ON tasks (deadline) WHERE is_open = 1;

CREATE TABLE definitions (
    task_id    TEXT COLLATE "C" PRIMARY KEY,
    definition TEXT NOT NULL
);

CREATE TABLE task_groups (
    task_group_id TEXT COLLATE "C" PRIMARY KEY,
    scheduler_id  TEXT COLLATE "C" NOT NULL,
    expires       BIGINT NOT NULL,
    sealed        BIGINT,
    unresolved    BIGINT NOT NULL  -- tasks that have never been resolved
);
CREATE INDEX task_groups_by_expiry ON task_groups (expires);

CREATE TABLE dependencies (
    required_id  TEXT COLLATE "C" NOT NULL,
    dependent_id TEXT COLLATE "C" NOT NULL,
    requires     TEXT COLLATE "C" NOT NULL,
    satisfied    BIGINT NOT NULL,
    PRIMARY KEY (required_id, dependent_id)
);
CREATE INDEX dependencies_by_dependent ON dependencies (dependent_id);

-- Runs that wait for a worker; the position is the order of insertion.
CREATE TABLE pending (
    position      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id       TEXT COLLATE "C" NOT NULL UNIQUE,
    run_id        BIGINT NOT NULL,
    task_queue_id TEXT COLLATE "C" NOT NULL,
    priority      BIGINT NOT NULL,
    deadline      BIGINT NOT NULL,
    inserted      BIGINT NOT NULL
);
CREATE INDEX pending_in_order ON pending (task_queue_id, priority DESC, position);

-- Runs that a worker holds: one row per run, renewed in place.
CREATE TABLE leases (
    task_id       TEXT COLLATE "C" PRIMARY KEY,
    run_id        BIGINT NOT NULL,
    task_queue_id TEXT COLLATE "C" NOT NULL,
    worker_group  TEXT COLLATE "C" NOT NULL,
    worker_id     TEXT COLLATE "C" NOT NULL,
    claimed       BIGINT NOT NULL,
    taken_until   BIGINT NOT NULL
);
CREATE INDEX leases_by_end ON leases (taken_until);
CREATE INDEX leases_by_queue ON leases (task_queue_id, claimed, task_id);

CREATE TABLE artifacts (
    task_id        TEXT COLLATE "C" NOT NULL,
    run_id         BIGINT NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    content_type   TEXT COLLATE "C" NOT NULL,
    content_length BIGINT,
    expires        BIGINT NOT NULL,
    present        BIGINT NOT NULL,
    storage        TEXT NOT NULL,   -- JSON: storageType and its details
    PRIMARY KEY (task_id, run_id, name)
);
CREATE INDEX artifacts_by_expiry ON artifacts (expires);

CREATE TABLE task_queues (
    task_queue_id    TEXT COLLATE "C" PRIMARY KEY,
    provisioner_id   TEXT COLLATE "C" NOT NULL,
    expires          BIGINT NOT NULL,
    last_date_active BIGINT NOT NULL,
    description      TEXT NOT NULL,
    stability        TEXT COLLATE "C" NOT NULL
);
CREATE INDEX task_queues_by_provisioner ON task_queues (provisioner_id, task_queue_id);

CREATE TABLE workers (
    task_queue_id      TEXT COLLATE "C" NOT NULL,
    worker_group       TEXT COLLATE "C" NOT NULL,
    worker_id          TEXT COLLATE "C" NOT NULL,
    expires            BIGINT NOT NULL,
    first_claim        BIGINT NOT NULL,
    last_date_active   BIGINT,
    quarantine_until   BIGINT,
    quarantine_details TEXT NOT NULL, -- JSON
    PRIMARY KEY (task_queue_id, worker_group, worker_id)
);

-- What each worker claimed, newest last; trimmed to the last twenty.
CREATE TABLE recent_tasks (
    position      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_queue_id TEXT COLLATE "C" NOT NULL,
    worker_group  TEXT COLLATE "C" NOT NULL,
    worker_id     TEXT COLLATE "C" NOT NULL,
    task_id       TEXT COLLATE "C" NOT NULL,
    run_id        BIGINT NOT NULL
);
CREATE INDEX recent_tasks_by_worker ON recent_tasks (task_queue_id, worker_group, worker_id, position);
