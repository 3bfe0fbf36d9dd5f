"""What authors of plugins test with: contract test classes, real servers, fakes that remember."""

from gatewayd.testing.fakes import FakeDirectory, Question, make_contact, make_mail, make_record

__all__ = ["FakeDirectory", "Question", "make_contact", "make_mail", "make_record"]
