"""Plugins in memory that remember what they were asked: a directory, a transport with its mailbox, a forwarder."""

from gatewayd.testing.fakes.directory import FakeDirectory, Question, make_contact, make_mail, make_record
from gatewayd.testing.fakes.forwarder import FakeForwarder, FakeServer
from gatewayd.testing.fakes.transport import Asked, FakeTransport

__all__ = [
    "Asked",
    "FakeDirectory",
    "FakeForwarder",
    "FakeServer",
    "FakeTransport",
    "Question",
    "make_contact",
    "make_mail",
    "make_record",
]
