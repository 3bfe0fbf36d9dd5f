"""Mail that we write ourselves: letters, and answers to mail that came in. Bytes in, bytes out; nothing here does I/O."""

from gatewayd.draft.answering import QUOTED, Original, answered, quoted, references
from gatewayd.draft.recipients import LONGEST_NAME, addresses, strict
from gatewayd.draft.writing import Attached, Draft, written

__all__ = [
    "LONGEST_NAME",
    "QUOTED",
    "Attached",
    "Draft",
    "Original",
    "addresses",
    "answered",
    "quoted",
    "references",
    "strict",
    "written",
]
