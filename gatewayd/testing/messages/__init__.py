"""Raw messages that tests, demo and benchmarks share: a tour operator's mail, and malformed mail."""

from gatewayd.testing.messages.bookings import PEOPLE, booking_messages, person
from gatewayd.testing.messages.malformed import malformed_messages
from gatewayd.testing.renamed import renamed

__all__ = ["PEOPLE", "booking_messages", "malformed_messages", "person"]

__getattr__ = renamed(__name__, {"nasties": "malformed_messages"})
