"""What waits in the mailboxes that a person follows: the lists of all of them, and looks at their servers."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.responses import RedirectResponse

from gatewayd import RemoteQuery, TransientError, calls, following, remote_mail
from gatewayd_web.downloads import ids_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from starlette.responses import Response

    from gatewayd import AccountHealth, Following, OfferView, Request
    from gatewayd_web.access import Visit

    Which = Literal["new", "waiting", "all"]

__all__ = ["WantedLists", "incoming", "look", "progress"]

#: Rows of one account's list.
_PAGE = 50
#: Requests that one page follows, and how often it asks how far they are: each second, later each five, and not for ever.
_ASKED = 100
_POLLS, _OFTEN = 300, 60
_WHICH: Mapping[str, Which] = {"new": "new", "waiting": "waiting", "all": "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLists:
    """What the address or a form says is to be listed."""

    which: Which
    words: str
    #: A day, as it was typed; empty for any.
    since: str
    #: The only account; empty for all that the person follows.
    account: str
    before: int | None

    @classmethod
    def of(cls, visit: Visit) -> WantedLists:
        """Read it."""
        return cls(
            which=_WHICH.get(visit.field("which"), "new"),
            words=visit.field("words").strip()[:200],
            since=visit.field("since")[:10],
            account=visit.field("account")[:200],
            before=visit.number("before"),
        )

    @property
    def accounts(self) -> tuple[str, ...]:
        """The account that is wanted alone; empty for all."""
        return (self.account,) if self.account else ()

    def query(self, zone: str) -> RemoteQuery:
        """Return it as a query for one page, and one row more, by which it is known whether there is another page."""
        return RemoteQuery(
            which=self.which, text=self.words or None, since=self.first_moment(zone), before=self.before, limit=_PAGE + 1
        )

    def first_moment(self, zone: str) -> datetime | None:
        """Return when the day begins since which mail is listed; None for a text that is no day."""
        with suppress(ValueError):
            return datetime.strptime(self.since, "%Y-%m-%d").replace(tzinfo=ZoneInfo(zone))
        return None

    def fields(self, **more: object) -> dict[str, object]:
        """Return it as fields of a form."""
        given = {name: getattr(self, name) for name in ("which", "words", "since", "account")} | more
        return {name: value for name, value in given.items() if value}

    def address(self, **more: object) -> str:
        """Return the address of these lists."""
        return "/incoming?" + urlencode(self.fields(**more), doseq=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One account's list, as it is shown."""

    account: Following
    offers: Sequence[OfferView]
    #: The next page; empty where there is none.
    older: str
    #: The look that was asked for; None without one.
    request: Request | None
    #: What keeps its server from being asked, and what to do; empty where nothing does.
    error: str
    advice: str

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.account

    @property
    def id(self) -> str:
        """What the section is called in the page."""
        return "list-" + hashlib.sha256(self.name.encode()).hexdigest()[:12]

    @property
    def request_id(self) -> int:
        """That of the look; 0 without one."""
        return self.request.id if self.request else 0

    @property
    def is_answered(self) -> bool:
        """Whether its server was asked, and has answered."""
        return self.request is not None and self.request.answer is not None


def incoming(visit: Visit) -> Response:
    """Show what is known of all lists."""
    wanted = WantedLists.of(visit)
    sections = _sections(visit, wanted, _numbers(visit.field("asked")))
    dismissed = [text.partition(":") for text in visit.request.query_params.getlist("dismissed")]
    undo = [f"{one}@{account}" for ids, _, account in dismissed for one in ids_of(ids)]
    return visit.page("incoming.html", 200, **_values(visit, wanted, sections), undo=undo)


def look(visit: Visit) -> Response:
    """Ask the servers what is new, or list them whole again."""
    wanted = WantedLists.of(visit)
    call = calls.Look(token=visit.token, accounts=wanted.accounts, recheck=visit.field("recheck") == "yes")
    try:
        asked = tuple(visit.ask(call, calls.RequestIds).ids.values())[:_ASKED]
    except TransientError as error:
        if visit.is_fragment:
            return visit.page("incoming_failed.html", what=error.message, advice=error.advice)
        raise
    if visit.is_fragment:
        values = _values(visit, wanted, _sections(visit, wanted, asked))
        return visit.page("incoming_progress.html", 200, **values, fresh=())
    return RedirectResponse(wanted.address(asked=".".join(map(str, asked))), 303)


def progress(visit: Visit) -> Response:
    """Show how far the looks are, and the lists of which that is answered since the page was told last."""
    wanted = WantedLists.of(visit)
    sections = _sections(visit, wanted, _numbers(visit.field("asked")))
    told = frozenset(_numbers(visit.field("told")))
    fresh = [one for one in sections if one.is_answered and one.request_id not in told]
    values = _values(visit, wanted, sections, polls=(visit.number("polls") or 0) + 1)
    return visit.page("incoming_progress.html", 200, **values, fresh=fresh)


def _numbers(text: str) -> tuple[int, ...]:
    """Return the ids of a text such as `12.13`."""
    return ids_of(text[:2000])[:_ASKED]


def _sections(visit: Visit, wanted: WantedLists, asked: Collection[int]) -> list[Section]:
    """Return the lists of all accounts that the person follows, or of the one that is wanted."""
    reader = visit.reader
    requests = {one.account: one for one in reader.store.requests(ids=asked)} if asked else {}
    healths = {one.account: one for one in reader.store.healths()}
    seen = following(reader.config, reader.store, visit.person.viewer)
    listed = [one for one in seen if (one.account == wanted.account if wanted.account else one.followed)]
    return [_section(visit, wanted, one, requests.get(one.account), healths.get(one.account)) for one in listed]


def _values(visit: Visit, wanted: WantedLists, sections: Sequence[Section], *, polls: int = 0) -> dict[str, object]:
    """Return what the templates show."""
    asked = [one for one in sections if one.request]
    answered = [one for one in asked if one.is_answered]
    return {
        "wanted": wanted,
        "sections": sections,
        "asked": asked,
        "answered": answered,
        "polls": polls,
        "follows": polls < _POLLS,
        "pause": 1 if polls < _OFTEN else 5,
        "no_daemon": not visit.reader.store.daemons(),
        "ticked": {*visit.fields("offer"), *visit.fields("every")},
    }


def _section(
    visit: Visit, wanted: WantedLists, account: Following, request: Request | None, health: AccountHealth | None
) -> Section:
    reader, viewer = visit.reader, visit.person.viewer
    found = remote_mail(reader.store, viewer, account.account, wanted.query(reader.config.time_zone))
    offers = found[:_PAGE]
    if offers and not (wanted.words or wanted.since or wanted.before):
        _tell_shown(visit, account.account, offers[0].id)
    older = wanted.address(account=account.account, before=offers[-1].id) if len(found) > _PAGE else ""
    error, advice = _broken(request, health)
    return Section(account=account, offers=offers, older=older, request=request, error=error, advice=advice)


def _broken(request: Request | None, health: AccountHealth | None) -> tuple[str, str]:
    """Return why an account can't be asked, and what to do: what the look was answered, else how the account is."""
    if request and request.answer:
        return request.answer.error or "; ".join(request.answer.problems), request.answer.advice
    return (health.error, health.advice) if health else ("", "")


def _tell_shown(visit: Visit, account: str, entry_id: int) -> None:
    """Tell the daemon up to where the person has seen a list. While it is away the mark stays, and more counts as new."""
    if visit.reader.store.seen(visit.person.viewer, account).shown < entry_id:
        with suppress(TransientError):
            visit.ask(calls.ShowOffers(token=visit.token, account=account, entry_id=entry_id), calls.Nothing)
