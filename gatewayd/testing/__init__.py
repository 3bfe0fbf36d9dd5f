"""What authors of plugins test with: contract test classes, real servers, fakes that remember."""

import pkgutil
import sys

if "pytest" in sys.modules:
    # Before they are imported: what fails in a contract shows its values, as in a test of the author's own.
    sys.modules["pytest"].register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

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
