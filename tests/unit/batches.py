"""What tests of batches share: keys that wait, a session that answers as told, and what becomes of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewayd import Came, Listed, Spool, Waiting
from gatewayd.config import ImportConfig
from gatewayd.importing.outcomes import match_request, outcomes
from gatewayd.matching import LocalMatching
from gatewayd.testing import make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import directory, links_all, matcher, registry, spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Fetched
    from gatewayd.importing.fetching import Batch


def waiting(number: int, size: int | None = None, *, tries: int = 0) -> Waiting:
    return Waiting(entry_id=number, listed=Listed(str(number), size), backlog=False, tries=tries)


class Answers:
    """What a session answers to a fetch."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers

    def fetch(self, _folder: str, _listed: Sequence[Listed], _spool: Spool) -> Iterator[Fetched]:
        for one in self.answers:
            if isinstance(one, BaseException):
                raise one
            yield one


def came(spool: Spool, number: int, raw: bytes | None = None) -> Came:
    return spool.put(str(number), [make_raw(number) if raw is None else raw])


def matched(batch: Batch, *, imports: ImportConfig | None = None, known: bool = False) -> dict[int, Any]:
    contact = make_contact(make_record("customer", "C1"), "anna@example.com", contact_type="sales")
    matching = LocalMatching(registry(matcher("calm", links_all), directory([], [contact])))
    imports = imports or ImportConfig()
    found = matching.begin(match_request(batch, [spec("acme", "calm", known=known)], imports)).result(lambda: None)
    done = outcomes(batch, found, imports, None)
    assert len({one.entry_id for one in done}) == len(done), "a key with two outcomes"
    return {one.entry_id: one for one in done}
