"""Have chosen mail filed: confirm, follow how far it is, and see what became of each message; or dismiss what nobody wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from gatewayd import MOST_CHOSEN, OfferQuery, RemoteQuery, calls, choices, following, offered_pages
from gatewayd_web.downloads import FollowedDownload, text_of
from gatewayd_web.pages.incoming import WantedLists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.responses import Response

    from gatewayd import Answer, Choice, Request
    from gatewayd_web.access import Visit

__all__ = ["confirm", "dismiss", "download", "downloaded"]

#: Ids that one call has.
_CALL = 1000
#: Characters of an address that say what was chosen. What does not fit is told in numbers.
_ADDRESS = 6000
#: Subjects that are shown before a download, and messages of a large one that are not here.
_FEW, _NOT_HERE = 10, 100
_PAGE = 1000
#: How often a page asks how far a download is: each second, later each five, and not for ever.
_POLLS, _OFTEN = 600, 60
#: Accounts of one download, and digits of an id.
_PARTS, _DIGITS = 200, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """What a form chooses of one account."""

    account: str
    ids: tuple[int, ...]
    #: All that the list offers up to this entry; None for just the ids.
    up_to: int | None


def confirm(visit: Visit) -> Response:
    """Ask whether that is what the person wants: how many, and from where."""
    wanted, chosen = WantedLists.of(visit), _chosen(visit)
    if not chosen:
        return RedirectResponse(wanted.address(), 303)
    counted = [(one, *_count(visit, wanted, one)) for one in chosen]
    return visit.page("confirm.html", wanted=wanted, counted=counted, total=sum(count for _, count, _ in counted), most=MOST_CHOSEN)


def download(visit: Visit) -> Response:
    """Have it filed."""
    wanted, chosen = WantedLists.of(visit), _chosen(visit)
    room = _ADDRESS // max(1, len(chosen))
    parts = [part.text(room) for one in chosen for part in _ask(visit, wanted, one)]
    if not parts:
        return RedirectResponse(wanted.address(), 303)
    return RedirectResponse(_address(parts, which=wanted.which), 303)


def downloaded(visit: Visit) -> Response:
    """Show how far a download is, and what became of each message."""
    reader = visit.reader
    texts = visit.request.query_params.getlist("of")[:_PARTS]
    seen = {one.account for one in following(reader.config, reader.store, visit.person.viewer)}
    parts = [one for one in map(FollowedDownload.read, texts) if one and one.account in seen]
    requests = {one.id: one for one in reader.store.requests(ids=[one.request_id for one in parts])} if parts else {}
    results = [_result(visit, one, _own(one, requests)) for one in parts]
    polls = (visit.number("polls") or 0) + 1
    return visit.page(
        "download_part.html" if visit.is_fragment else "download.html",
        results=results,
        running=any(one.running for one in results),
        follows=polls < _POLLS,
        again=_address(texts, which=visit.field("which"), polls=polls),
        pause=1 if polls < _OFTEN else 5,
        which=visit.field("which"),
        no_daemon=not reader.store.daemons(),
    )


def dismiss(visit: Visit) -> Response:
    """Hide the ticked ones from everybody of the operator, or offer them again."""
    wanted, undo = WantedLists.of(visit), visit.field("undo") == "yes"
    spans: list[str] = []
    for one in _chosen(visit):
        for ids in _calls(one.ids):
            visit.ask(calls.DismissOffers(token=visit.token, account=one.account, entry_ids=ids, undo=undo), calls.Count)
        if one.ids:
            spans.append(f"{text_of(one.ids)}:{one.account}")
    fits = not undo and len("".join(spans)) < _ADDRESS
    return RedirectResponse(wanted.address(dismissed=spans if fits else ()), 303)


def _address(parts: Sequence[str], **more: object) -> str:
    return "/incoming/download?" + urlencode({"of": parts, **more}, doseq=True)


def _chosen(visit: Visit) -> list[Ticked]:
    """Return what a form chooses, account by account: ids and whole lists are written as `12@main`."""
    ids: dict[str, set[int]] = {}
    for number, account in _at(visit.fields("offer")):
        ids.setdefault(account, set()).add(number)
    whole = {account: number for number, account in _at(visit.fields("every"))}
    names = dict.fromkeys((*ids, *whole))
    return [Ticked(account=one, ids=tuple(sorted(ids.get(one, ()))), up_to=whole.get(one)) for one in names]


def _at(values: Sequence[str]) -> Iterator[tuple[int, str]]:
    for value in values:
        number, _, account = value.partition("@")
        if number.isascii() and number.isdecimal() and len(number) <= _DIGITS and int(number) and account:
            yield int(number), account


def _query(visit: Visit, wanted: WantedLists, up_to: int) -> RemoteQuery:
    since = wanted.first_moment(visit.reader.config.time_zone)
    return RemoteQuery(which=wanted.which, text=wanted.words or None, since=since, before=up_to + 1)


def _count(visit: Visit, wanted: WantedLists, chosen: Ticked) -> tuple[int, list[str]]:
    """Return how many a choice has, and a few of their subjects."""
    store, viewer = visit.reader.store, visit.person.viewer
    if chosen.up_to is None:
        named = [one.offer.subject for one in choices(store, viewer, chosen.account, chosen.ids)]
        return len(named), named[:_FEW]
    count, subjects = 0, list[str]()
    for page in offered_pages(store, viewer, chosen.account, _query(visit, wanted, chosen.up_to)):
        count, subjects = count + len(page), subjects or [one.subject for one in page[:_FEW]]
        if count >= MOST_CHOSEN:
            break
    return min(count, MOST_CHOSEN), subjects


def _ask(visit: Visit, wanted: WantedLists, chosen: Ticked) -> Iterator[FollowedDownload]:
    """Ask the daemon for what was chosen of one account; yield what can be followed."""
    account, token = chosen.account, visit.token
    if chosen.up_to is None:
        for ids in _calls(chosen.ids):
            answer = visit.ask(calls.ChooseOffers(token=token, account=account, entry_ids=ids), calls.Download)
            yield FollowedDownload(account=account, ids=ids, **answer.model_dump())
        return
    query = _query(visit, wanted, chosen.up_to)
    call = calls.ChooseListed(
        token=token, account=account, which=query.which, text=query.text or "", since=query.since, up_to=chosen.up_to
    )
    answer = visit.ask(call, calls.Download)
    yield FollowedDownload(account=account, **answer.model_dump())


def _calls(ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(ids), _CALL):
        yield tuple(ids[start : start + _CALL])


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a download until now."""

    part: FollowedDownload
    running: bool
    done: int
    total: int
    answer: Answer | None
    #: Each message; of a large download only some that are not here.
    choices: Sequence[Choice]

    @property
    def here(self) -> int:
        """How many of those that are shown are here."""
        return sum(one.result == "here" for one in self.choices)


def _result(visit: Visit, part: FollowedDownload, request: Request | None) -> Result:
    answer = request.answer if request else None
    open_ = request is not None and answer is None
    store, viewer = visit.reader.store, visit.person.viewer
    found: list[Choice] = []
    if part.ids:
        found = list(choices(store, viewer, part.account, part.ids))
        # What they chose may be here before the visit ends that fetches more.
        open_ = open_ and any(one.result == "waiting" for one in found)
    elif not open_:
        found = _not_here(visit, part)
    return Result(
        part=part,
        running=open_,
        done=sum(one.result != "waiting" for one in found) if part.ids else request.done if request else 0,
        total=len(found) if part.ids else max(part.count, request.total if request else 0),
        answer=answer,
        choices=found,
    )


def _own(part: FollowedDownload, requests: Mapping[int, Request]) -> Request | None:
    """Return the request of a part. Its id stands in the address: one of an account that is not the part's may be another's."""
    found = requests.get(part.request_id)
    return found if found and found.account == part.account else None


def _not_here(visit: Visit, part: FollowedDownload) -> list[Choice]:
    """Return some of a large download that are not here, newest first."""
    store, viewer = visit.reader.store, visit.person.viewer
    found: list[Choice] = []
    query = OfferQuery(account=part.account, after=part.oldest - 1, before=part.newest + 1, limit=_PAGE)
    left = MOST_CHOSEN
    while left > 0 and len(found) < _NOT_HERE and (page := store.offers(viewer, query)):
        ids = [one.id for one in page if one.decision == "chosen" or (one.decision == "offered" and one.cause)]
        found += choices(store, viewer, part.account, ids)
        query, left = replace(query, before=page[-1].id), left - len(page)
    return found[:_NOT_HERE]
