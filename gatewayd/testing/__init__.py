"""Test tools for authors of plugins: contract test classes, real servers, fakes that remember, and malformed mail."""

import pkgutil
import sys

if pytest := sys.modules.get("pytest"):
    # Before they are imported: a failing assert in a contract shows its values, as in a test of the author's own.
    # A package's name covers its modules, too.
    pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from gatewayd.testing.fakes import (
    Asked,
    FakeDirectory,
    FakeForwarder,
    FakeServer,
    FakeTransport,
    Question,
    make_contact,
    make_mail,
    make_record,
)
from gatewayd.testing.renamed import moved_modules

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

moved_modules(__name__)
