-- Times are milliseconds since 1970, lists and objects are JSON.

-- Graphs that were accepted. What they were submitted with, and what has to be known of all their tasks.
CREATE TABLE graphs (
    graph_id TEXT COLLATE "C" PRIMARY KEY,
    scopes TEXT NOT NULL,
    routes TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    digest TEXT NOT NULL,
    leaves_left BIGINT NOT NULL,
    blockers BIGINT NOT NULL,
    cancelled BOOLEAN NOT NULL,
    submitted BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE INDEX graphs_by_time ON graphs (submitted, graph_id);
CREATE INDEX graphs_to_forget ON graphs (expires);

-- What graphs are found by: "route:" and a route, "tag:", a name, "=" and a value.
CREATE TABLE labels (
    graph_id TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (graph_id, label)
);

-- Tasks of graphs. "wish": there shall be a run beyond this many, and "ready": at once. "over" and "satisfied" follow from the
-- columns before them; "any_end": it waits for the end of others and not for their success; "due": when the queue is asked
-- about it, if no event comes before.
CREATE TABLE nodes (
    graph_id TEXT COLLATE "C" NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    deadline BIGINT NOT NULL,
    reruns BIGINT NOT NULL,
    any_end BOOLEAN NOT NULL,
    leaf BOOLEAN NOT NULL,
    runs BIGINT NOT NULL,
    state TEXT NOT NULL,
    failed BIGINT NOT NULL,
    forgiven BIGINT NOT NULL,
    wish BIGINT,
    ready BOOLEAN NOT NULL,
    cancel BOOLEAN NOT NULL,
    over BOOLEAN NOT NULL,
    satisfied BOOLEAN NOT NULL,
    due BIGINT,
    PRIMARY KEY (graph_id, task_id)
);

CREATE INDEX nodes_to_act_on ON nodes (graph_id, task_id) WHERE (wish IS NOT NULL AND ready) OR cancel;
CREATE INDEX nodes_to_ask_about ON nodes (due) WHERE due IS NOT NULL;

CREATE TABLE edges (
    graph_id TEXT COLLATE "C" NOT NULL,
    dependent TEXT COLLATE "C" NOT NULL,
    required TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (graph_id, dependent, required)
);

CREATE INDEX edges_from_required ON edges (graph_id, required, dependent);

-- Requests whose tasks are being created. "body" is the whole request.
CREATE TABLE submissions (
    graph_id TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    creates BOOLEAN NOT NULL,
    body TEXT NOT NULL,
    begun BIGINT NOT NULL,
    PRIMARY KEY (graph_id, digest)
);

CREATE INDEX submissions_to_take_up ON submissions (begun);
