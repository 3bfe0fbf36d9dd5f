"""What authors of plugins test with: contract test classes, real servers, fakes that remember."""

from gatewayd.testing.fake_forwarder import FakeForwarder, FakeServer
from gatewayd.testing.fake_transport import Asked, FakeTransport
from gatewayd.testing.fakes import FakeDirectory, Question, make_contact, make_mail, make_record

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
