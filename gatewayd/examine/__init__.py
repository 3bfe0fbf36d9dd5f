"""Examine batches: parse, admit, match, for each operator in guards of its own. Picklable in and out."""

from gatewayd.examine.doubts import provisional, senders, since
from gatewayd.examine.examiner import Examiner
from gatewayd.examine.recipes import recipes
from gatewayd.examine.values import ContactTypes, Examination, Examined, Examining, Findings, Job, Letter, Order, Recipe

__all__ = [
    "ContactTypes",
    "Examination",
    "Examined",
    "Examiner",
    "Examining",
    "Findings",
    "Job",
    "Letter",
    "Order",
    "Recipe",
    "provisional",
    "recipes",
    "senders",
    "since",
]
