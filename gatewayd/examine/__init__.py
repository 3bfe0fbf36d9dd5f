"""Examine batches: parse, admit, match, for each operator in guards of its own. Picklable in and out."""

from gatewayd.examine.doubts import provisional, senders, since
from gatewayd.examine.examiner import Examiner
from gatewayd.examine.recipes import recipes
from gatewayd.examine.values import (
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
