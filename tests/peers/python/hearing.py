"""Listening to a RabbitMQ server by pika."""

import json
import time

import pika


class Listener:
    """An exclusive queue, bound to some exchanges that services have declared."""

    def __init__(self, channel, pattern, *exchanges):
        self.channel = channel
        self.queue = channel.queue_declare("", exclusive=True).method.queue
        for exchange in exchanges:
            channel.queue_bind(self.queue, exchange, pattern)

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


def declared(connection, exchange):
    """A channel, once the exchange is there: a passive declaration never makes one."""
    deadline = time.monotonic() + 120
    while True:
        channel = connection.channel()
        try:
            channel.exchange_declare(exchange, passive=True)
            # As everybody declares them: another kind would be refused.
            channel.exchange_declare(exchange, exchange_type="topic", durable=True)
            return channel
        except pika.exceptions.ChannelClosedByBroker:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
