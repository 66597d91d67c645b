-- Times are milliseconds since 1970, lists and objects are JSON.

-- Worker types: which version is settled, which comes after it and for which share, and which was settled before. "latest": the
-- last number that was given.
CREATE TABLE worker_types (
    name TEXT COLLATE "C" PRIMARY KEY,
    settled BIGINT NOT NULL,
    candidate BIGINT,
    share DOUBLE PRECISION NOT NULL,
    previous BIGINT,
    latest BIGINT NOT NULL,
    last_modified BIGINT NOT NULL
);

-- What worker types were defined as. Versions that nothing refers to are forgotten.
CREATE TABLE versions (
    worker_type TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (worker_type, number)
);

-- Instances, from the wish for one to some time after its end. "offer" is what was chosen, to ask for it again; "failed": it ended
-- before its worker had begun, and not by our wish.
CREATE TABLE instances (
    instance_id TEXT COLLATE "C" PRIMARY KEY,
    worker_type TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    worker_group TEXT COLLATE "C" NOT NULL,
    place TEXT NOT NULL,
    capacity BIGINT NOT NULL,
    price DOUBLE PRECISION NOT NULL,
    offer TEXT NOT NULL,
    provider_id TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    since BIGINT NOT NULL,
    started BIGINT,
    reason TEXT,
    failed BOOLEAN NOT NULL
);

CREATE INDEX instances_that_are ON instances (worker_type, instance_id) WHERE state <> 'ended';
CREATE INDEX instances_that_were ON instances (worker_type, since) WHERE state = 'ended';

-- What workers find under their tokens, of which only a digest is kept. Those of our own instances follow from their versions.
CREATE TABLE secrets (
    digest TEXT COLLATE "C" PRIMARY KEY,
    worker_type TEXT COLLATE "C" NOT NULL,
    instance_id TEXT COLLATE "C",
    secrets TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX secrets_to_forget ON secrets (expires);
CREATE INDEX secrets_of_instances ON secrets (instance_id) WHERE instance_id IS NOT NULL;

-- What the last pass over each worker type came to.
CREATE TABLE passes (
    worker_type TEXT COLLATE "C" PRIMARY KEY,
    ended BIGINT NOT NULL,
    desired BIGINT NOT NULL,
    why TEXT NOT NULL
);

-- Who makes passes, until when. One row.
CREATE TABLE lead (
    place BIGINT PRIMARY KEY CHECK (place = 1),
    holder TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    ended BIGINT NOT NULL
);

-- Numbers over time, each for the stretch of so many seconds that begins then.
CREATE TABLE samples (
    worker_type TEXT COLLATE "C" NOT NULL,
    seconds BIGINT NOT NULL,
    begins BIGINT NOT NULL,
    numbers TEXT NOT NULL,
    PRIMARY KEY (worker_type, seconds, begins)
);

CREATE INDEX samples_to_forget ON samples (seconds, begins);
