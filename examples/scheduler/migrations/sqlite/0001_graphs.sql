-- Times are milliseconds since 1970, lists and objects are JSON.

-- Graphs that were accepted. What they were submitted with, and what has to be known of all their tasks.
CREATE TABLE graphs (
    graph_id TEXT PRIMARY KEY,
    scopes TEXT NOT NULL,
    routes TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    digest TEXT NOT NULL,
    leaves_left INTEGER NOT NULL,
    blockers INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    submitted INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE INDEX graphs_by_time ON graphs (submitted, graph_id);
CREATE INDEX graphs_to_forget ON graphs (expires);

-- What graphs are found by: "route:" and a route, "tag:", a name, "=" and a value.
CREATE TABLE labels (
    graph_id TEXT NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (graph_id, label)
) STRICT, WITHOUT ROWID;

-- Tasks of graphs. "wish": there shall be a run beyond this many, and "ready": at once. "over" and "satisfied" follow from the
-- columns before them; "any_end": it waits for the end of others and not for their success; "due": when the queue is asked
-- about it, if no event comes before.
CREATE TABLE nodes (
    graph_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    reruns INTEGER NOT NULL,
    any_end INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    state TEXT NOT NULL,
    failed INTEGER NOT NULL,
    forgiven INTEGER NOT NULL,
    wish INTEGER,
    ready INTEGER NOT NULL,
    cancel INTEGER NOT NULL,
    over INTEGER NOT NULL,
    satisfied INTEGER NOT NULL,
    due INTEGER,
    PRIMARY KEY (graph_id, task_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX nodes_to_act_on ON nodes (graph_id, task_id) WHERE (wish IS NOT NULL AND ready) OR cancel;
CREATE INDEX nodes_to_ask_about ON nodes (due) WHERE due IS NOT NULL;

CREATE TABLE edges (
    graph_id TEXT NOT NULL,
    dependent TEXT NOT NULL,
    required TEXT NOT NULL,
    PRIMARY KEY (graph_id, dependent, required)
) STRICT, WITHOUT ROWID;

CREATE INDEX edges_from_required ON edges (graph_id, required, dependent);

-- Requests whose tasks are being created. "body" is the whole request.
CREATE TABLE submissions (
    graph_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    creates INTEGER NOT NULL,
    body TEXT NOT NULL,
    begun INTEGER NOT NULL,
    PRIMARY KEY (graph_id, digest)
) STRICT;

CREATE INDEX submissions_to_take_up ON submissions (begun);
