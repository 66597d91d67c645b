"""The queue's events as RabbitMQ delivers them to pika: exchanges, routing keys, carbon copies and bodies, to the letter."""

import os

import pika
import taskcluster
from hearing import Listener, declared

QUEUE = "peers/pika"
PREFIX = "exchange/taskcluster-queue/v1/"
LIFE = ("task-defined", "task-pending", "task-running", "task-completed")


def main():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["TEST_AMQP"]))
    for event in (*LIFE, "task-group-resolved"):
        channel = declared(connection, PREFIX + event)
    options = taskcluster.optionsFromEnvironment()
    queue = taskcluster.Queue(options)
    task_id, group_id = taskcluster.slugId(), taskcluster.slugId()
    routes = ["index.peers.pika." + task_id, "custom.ü.two words"]
    life = Listener(channel, "primary.%s.#" % task_id, *(PREFIX + event for event in LIFE))
    routed = Listener(channel, "route.index.peers.*." + task_id, PREFIX + "task-completed")
    custom = Listener(channel, "route.custom.#", PREFIX + "task-completed")
    group = Listener(channel, "primary.%s.peers._" % group_id, PREFIX + "task-group-resolved")

    queue.createTask(task_id, {
        "taskQueueId": QUEUE,
        "schedulerId": "peers",
        "taskGroupId": group_id,
        "routes": routes,
        "created": taskcluster.fromNowJSON("0 seconds"),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "expires": taskcluster.fromNowJSON("2 days"),
        "tags": {"kind": "pika"},
        "metadata": {
            "name": "events",
            "description": "A task whose events are looked at",
            "owner": "peer@example.com",
            "source": "https://example.com/peer",
        },
        "payload": {},
    })
    claim = queue.claimWork(QUEUE, {"workerGroup": "peers", "workerId": "pika", "tasks": 1})["tasks"][0]
    worker = taskcluster.Queue({"rootUrl": options["rootUrl"], "credentials": claim["credentials"]})
    worker.reportCompleted(task_id, 0)

    tail = "peers.pika.peers.%s._" % group_id
    known = "primary.%s.0.peers.pika.%s" % (task_id, tail)
    expected = [
        ("task-defined", "primary.%s._._._.%s" % (task_id, tail)),
        ("task-pending", "primary.%s.0._._.%s" % (task_id, tail)),
        ("task-running", known),
        ("task-completed", known),
    ]
    for event, key in expected:
        method, properties, body = life.next()
        assert (method.exchange, method.routing_key) == (PREFIX + event, key), method
        assert properties.content_type == "application/json", properties
        assert properties.delivery_mode == 2, properties
        assert properties.headers == {"CC": ["route." + route for route in routes]}, properties.headers
        assert (body["version"], body["status"]["taskId"]) == (1, task_id), body
        assert body["task"] == {"tags": {"kind": "pika"}}, body
    life.nothing_more()
    for listener in (routed, custom):
        method, _, body = listener.next()
        assert (method.routing_key, body["status"]["state"]) == (known, "completed"), (method, body)
    method, properties, body = group.next()
    assert method.routing_key == "primary.%s.peers._" % group_id, method
    assert not (properties.headers or {}).get("CC"), properties
    assert (body["taskGroupId"], body["schedulerId"]) == (group_id, "peers"), body
    connection.close()
    print("python, events by RabbitMQ: all is well")


main()
