"""Examine batches: parse, admit, match, for each operator in guards of its own. Picklable in and out."""

from gatewayd.matching.doubts import provisional, senders, since
from gatewayd.matching.local_matching import LocalMatching
from gatewayd.matching.operator_specs import specs
from gatewayd.matching.values import (
    ContactTypes,
    DirectoryAnswers,
    DirectoryCheck,
    DirectoryQuestion,
    Matching,
    MatchRequest,
    MatchResult,
    MatchRun,
    OperatorResult,
    OperatorSpec,
    RawMail,
)

__all__ = [
    "ContactTypes",
    "DirectoryAnswers",
    "DirectoryCheck",
    "DirectoryQuestion",
    "LocalMatching",
    "MatchRequest",
    "MatchResult",
    "MatchRun",
    "Matching",
    "OperatorResult",
    "OperatorSpec",
    "RawMail",
    "provisional",
    "senders",
    "since",
    "specs",
]
