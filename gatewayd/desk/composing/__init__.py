"""Compose mail that we write ourselves: new mail, and answers to mail that came in. Bytes in, bytes out; nothing here does I/O."""

from gatewayd.desk.composing.answering import QUOTED, QuotedOriginal, answered, quoted, references
from gatewayd.desk.composing.recipients import LONGEST_NAME, addresses, strict
from gatewayd.desk.composing.writing import AttachedFile, Draft, written

__all__ = [
    "LONGEST_NAME",
    "QUOTED",
    "AttachedFile",
    "Draft",
    "QuotedOriginal",
    "addresses",
    "answered",
    "quoted",
    "references",
    "strict",
    "written",
]
