-- Times are milliseconds since 1970, lists and objects are JSON.

-- Worker types: which version is settled, which comes after it and for which share, and which was settled before. "latest": the
-- last number that was given.
CREATE TABLE worker_types (
    name TEXT PRIMARY KEY,
    settled INTEGER NOT NULL,
    candidate INTEGER,
    share REAL NOT NULL,
    previous INTEGER,
    latest INTEGER NOT NULL,
    last_modified INTEGER NOT NULL
) STRICT;

-- What worker types were defined as. Versions that nothing refers to are forgotten.
CREATE TABLE versions (
    worker_type TEXT NOT NULL,
    number INTEGER NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (worker_type, number)
) STRICT, WITHOUT ROWID;

-- Instances, from the wish for one to some time after its end. "offer" is what was chosen, to ask for it again; "failed": it ended
-- before its worker had begun, and not by our wish.
CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY,
    worker_type TEXT NOT NULL,
    version INTEGER NOT NULL,
    provider TEXT NOT NULL,
    worker_group TEXT NOT NULL,
    place TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    price REAL NOT NULL,
    offer TEXT NOT NULL,
    provider_id TEXT,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    since INTEGER NOT NULL,
    started INTEGER,
    reason TEXT,
    failed INTEGER NOT NULL
) STRICT;

CREATE INDEX instances_that_are ON instances (worker_type, instance_id) WHERE state <> 'ended';
CREATE INDEX instances_that_were ON instances (worker_type, since) WHERE state = 'ended';

-- What workers find under their tokens, of which only a digest is kept. Those of our own instances follow from their versions.
CREATE TABLE secrets (
    digest TEXT PRIMARY KEY,
    worker_type TEXT NOT NULL,
    instance_id TEXT,
    secrets TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE INDEX secrets_to_forget ON secrets (expires);
CREATE INDEX secrets_of_instances ON secrets (instance_id) WHERE instance_id IS NOT NULL;

-- What the last pass over each worker type came to.
CREATE TABLE passes (
    worker_type TEXT PRIMARY KEY,
    ended INTEGER NOT NULL,
    desired INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT;

-- Who makes passes, until when. One row.
CREATE TABLE lead (
    place INTEGER PRIMARY KEY CHECK (place = 1),
    holder TEXT NOT NULL,
    until INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT;

-- Numbers over time, each for the stretch of so many seconds that begins then.
CREATE TABLE samples (
    worker_type TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    begins INTEGER NOT NULL,
    numbers TEXT NOT NULL,
    PRIMARY KEY (worker_type, seconds, begins)
) STRICT, WITHOUT ROWID;

CREATE INDEX samples_to_forget ON samples (seconds, begins);
