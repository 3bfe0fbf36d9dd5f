"""Match batches of mail: parse, admit, match, for each operator in guards of its own."""

from gatewayd.matching.local_matching import LocalMatching
from gatewayd.matching.provisional_verdicts import provisional, senders, since
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
    specs,
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
