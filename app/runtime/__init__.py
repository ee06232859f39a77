"""Servers and processes that this program starts by itself: the embedded broker, and the children of `up` and the demo.

Everything started here ends with us, whether we stop it, leave by an exception or are killed.
"""

from app.runtime.broker import broker_url, some_broker
from app.runtime.broker_address import BrokerAddress, broker_address
from app.runtime.embedded import (
    EmbeddedBroker,
    broker_for,
    find_running_broker,
    remove_broker_note,
    write_broker_note,
)
from app.runtime.interrupts import dropped_interrupts_return
from app.runtime.locks import ExclusiveLock, exclusive_lock
from app.runtime.processes import ProcessGroup, free_port
from app.runtime.supervisor import Ended, NotStarted, Started, Supervisor

__all__ = [
    "BrokerAddress",
    "EmbeddedBroker",
    "Ended",
    "ExclusiveLock",
    "NotStarted",
    "ProcessGroup",
    "Started",
    "Supervisor",
    "broker_address",
    "broker_for",
    "broker_url",
    "dropped_interrupts_return",
    "exclusive_lock",
    "find_running_broker",
    "free_port",
    "remove_broker_note",
    "some_broker",
    "write_broker_note",
]
