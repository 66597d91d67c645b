"""A task graph from its submission to green, with a failure on the way: by the Python client, which knows the scheduler only from
the reference that the deployment serves, and as RabbitMQ tells of it to pika."""

import json
import os
import urllib.request

import pika
import taskcluster
from hearing import Listener, declared
from taskcluster.client import createApiClient

QUEUE = "peers/graphs"
PREFIX = "exchange/taskcluster-scheduler/v1/task-graph-"
SCHEDULER = "task-graph-scheduler"


def scheduler(options):
    with urllib.request.urlopen(options["rootUrl"] + "/references/scheduler/v1/api.json", timeout=60) as response:
        reference = json.load(response)
    return createApiClient("Scheduler", {"reference": reference})(options)


def node(name, task_id, requires, reruns=0):
    return {
        "taskId": task_id,
        "requires": requires,
        "reruns": reruns,
        "task": {
            "taskQueueId": QUEUE,
            "created": taskcluster.fromNowJSON("0 seconds"),
            "deadline": taskcluster.fromNowJSON("1 hour"),
            "metadata": {
                "name": name,
                "description": "A task of a graph",
                "owner": "peer@example.com",
                "source": "https://example.com/peer",
            },
            "payload": {},
        },
    }


class Worker:
    """Somebody who claims the next task, which must be the one that is expected, and ends it."""

    def __init__(self, options):
        self.options = options
        self.queue = taskcluster.Queue(options)

    def claim(self, task_id, run_id):
        request = {"workerGroup": "peers", "workerId": "graphs", "tasks": 1}
        # Each call waits for a while by itself.
        claims = next(filter(None, (self.queue.claimWork(QUEUE, request)["tasks"] for _ in range(6))))
        claim = claims[0]
        assert (claim["status"]["taskId"], claim["runId"]) == (task_id, run_id), claim
        return taskcluster.Queue({"rootUrl": self.options["rootUrl"], "credentials": claim["credentials"]})

    def complete(self, task_id, run_id=0):
        self.claim(task_id, run_id).reportCompleted(task_id, run_id)

    def fail(self, task_id, run_id):
        self.claim(task_id, run_id).reportFailed(task_id, run_id)


def main():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["TEST_AMQP"]))
    for event in ("running", "extended", "blocked", "finished"):
        channel = declared(connection, PREFIX + event)
    options = taskcluster.optionsFromEnvironment()
    graph_id, build, test, report = (taskcluster.slugId() for _ in range(4))
    route = "peers.graphs." + graph_id
    exchanges = [PREFIX + event for event in ("running", "blocked", "finished")]
    key = "primary._._._._._._.%s.%s" % (SCHEDULER, graph_id)
    by_key = Listener(channel, key + ".#", *exchanges)
    by_route = Listener(channel, "route.peers.graphs.*", *exchanges)

    def told(event, state, **more):
        for listener in (by_key, by_route):
            method, properties, body = listener.next()
            assert (method.exchange, method.routing_key) == (PREFIX + event, key + "._"), method
            assert properties.headers == {"CC": ["route." + route]}, properties.headers
            status = {"taskGraphId": graph_id, "schedulerId": SCHEDULER, "state": state}
            assert body == {"version": 1, "status": status, **more}, body

    graphs, worker = scheduler(options), Worker(options)
    graph = {
        "tasks": [node("build", build, []), node("test", test, [build], reruns=1), node("report", report, [test])],
        "scopes": [
            "queue:scheduler-id:" + SCHEDULER,
            "queue:create-task:project:none",
            "queue:create-task:lowest:" + QUEUE,
        ],
        "routes": [route],
        "tags": {"kind": "peer"},
        "metadata": node("graph", build, [])["task"]["metadata"],
    }
    status = graphs.createTaskGraph(graph_id, graph)["status"]
    assert status == {"taskGraphId": graph_id, "schedulerId": SCHEDULER, "state": "running"}, status
    told("running", "running")
    worker.complete(build)
    worker.fail(test, 0)
    worker.fail(test, 1)
    told("blocked", "blocked", taskId=test)
    seen = graphs.inspectTask(graph_id, test)
    assert (seen["state"], seen["reruns"], seen["rerunsLeft"]) == ("failed", 1, 0), seen
    assert graphs.rerunTaskGraph(graph_id)["taskIds"] == [test]
    told("running", "running")
    worker.complete(test, 2)
    worker.complete(report)
    told("finished", "finished")
    tasks = graphs.inspect(graph_id)["tasks"]
    assert sorted((task["name"], task["state"]) for task in tasks) == [
        ("build", "completed"),
        ("report", "completed"),
        ("test", "completed"),
    ], tasks
    assert graphs.info(graph_id)["tags"] == {"kind": "peer"}
    for listener in (by_key, by_route):
        listener.nothing_more()
    connection.close()
    print("python, a task graph and its events by RabbitMQ: all is well")


main()
