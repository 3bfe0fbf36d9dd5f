"""Examine batches: parse, admit, match, for each operator in guards of its own. Picklable in and out."""

from gatewayd.matching.doubts import provisional, senders, since
from gatewayd.matching.local_matching import Examiner
from gatewayd.matching.operator_specs import recipes
from gatewayd.matching.values import (
    Answering,
    ContactTypes,
    DirectoryQuestion,
    Examination,
    Examined,
    Examining,
    Findings,
    Job,
    Letter,
    Looked,
    Order,
    Recipe,
)

__all__ = [
    "Answering",
    "ContactTypes",
    "DirectoryQuestion",
    "Examination",
    "Examined",
    "Examiner",
    "Examining",
    "Findings",
    "Job",
    "Letter",
    "Looked",
    "Order",
    "Recipe",
    "provisional",
    "recipes",
    "senders",
    "since",
]
