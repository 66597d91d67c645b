"""The queue's events as RabbitMQ delivers them to pika: exchanges, routing keys, carbon copies and bodies, to the letter."""

import json
import os
import time

import pika
import taskcluster

QUEUE = "peers/pika"
PREFIX = "exchange/taskcluster-queue/v1/"


class Listener:
    """An exclusive queue, bound to some exchanges that services have declared."""

    def __init__(self, channel, pattern, *events):
        self.channel = channel
        self.queue = channel.queue_declare("", exclusive=True).method.queue
        for event in events:
            channel.queue_bind(self.queue, PREFIX + event, pattern)

    def next(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            method, properties, body = self.channel.basic_get(self.queue, auto_ack=True)
            if method:
                return method, properties, json.loads(body.decode("utf-8"))
            self.channel.connection.sleep(0.02)
        raise AssertionError("there is no message")

    def nothing_more(self):
        assert self.channel.basic_get(self.queue)[0] is None


def declared(connection, event):
    """A channel, once the exchange is there: a passive declaration never makes one."""
    deadline = time.monotonic() + 120
    while True:
        channel = connection.channel()
        try:
            channel.exchange_declare(PREFIX + event, passive=True)
            # As everybody declares them: another kind would be refused.
            channel.exchange_declare(PREFIX + event, exchange_type="topic", durable=True)
            return channel
        except pika.exceptions.ChannelClosedByBroker:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["TEST_AMQP"]))
    for event in ("task-defined", "task-pending", "task-running", "task-completed", "task-group-resolved"):
        channel = declared(connection, event)
    options = taskcluster.optionsFromEnvironment()
    queue = taskcluster.Queue(options)
    task_id, group_id = taskcluster.slugId(), taskcluster.slugId()
    routes = ["index.peers.pika." + task_id, "custom.ü.two words"]
    life = Listener(channel, "primary.%s.#" % task_id, "task-defined", "task-pending", "task-running", "task-completed")
    routed = Listener(channel, "route.index.peers.*." + task_id, "task-completed")
    custom = Listener(channel, "route.custom.#", "task-completed")
    group = Listener(channel, "primary.%s.peers._" % group_id, "task-group-resolved")

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
