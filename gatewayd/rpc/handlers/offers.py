"""Look at servers, and choose of what they offer. The daemon that holds the account does it; the store says how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.api.health import Task
from gatewayd.desk import offers
from gatewayd.desk.following import accounts_seen, importing_accounts
from gatewayd.desk.offers import RemoteQuery
from gatewayd.errors import PermanentError
from gatewayd.rpc.calls import ChooseListed, ChooseOffers, Count, DismissOffers, Download, Look, Nothing, RequestIds, ShowOffers

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.desk.offers import ChosenOffers
    from gatewayd.rpc.tools import Tools

__all__ = ["choose", "choose_listed", "dismiss", "look", "show"]


def look(tools: Tools, person: Person, call: Look) -> RequestIds:
    """Ask for a look at each account."""
    accounts = importing_accounts(tools.config, tools.store, person.viewer, call.accounts)
    task = Task(look=True, compare=call.recheck)
    return RequestIds(ids={one.name: tools.store.ask(one.name, task) for one in accounts})


def show(tools: Tools, person: Person, call: ShowOffers) -> Nothing:
    """Remember what was shown: the seen-mark comes to it when a download is confirmed."""
    tools.store.show(person.viewer, _account(tools, person, call.account), call.entry_id)
    return Nothing()


def choose(tools: Tools, person: Person, call: ChooseOffers) -> Download:
    """Commit the choice, and ask for the visit that fetches it."""
    account = _account(tools, person, call.account)
    return _download(tools, person, account, offers.choose(tools.store, person.viewer, account, call.entry_ids, who=person.user))


def choose_listed(tools: Tools, person: Person, call: ChooseListed) -> Download:
    """Commit the choice of all that a list offers, and ask for the visit that fetches it."""
    account = _account(tools, person, call.account)
    query = RemoteQuery(which=call.which, text=call.text or None, since=call.since, before=call.up_to + 1)
    return _download(tools, person, account, offers.choose_listed(tools.store, person.viewer, account, query, who=person.user))


def dismiss(tools: Tools, person: Person, call: DismissOffers) -> Count:
    """Hide offers, or offer them again."""
    account = _account(tools, person, call.account)
    changed = tools.store.dismiss(person.viewer, account, call.entry_ids, who=person.user, undo=call.undo)
    return Count(changed=changed)


def _download(tools: Tools, person: Person, account: str, chosen: ChosenOffers) -> Download:
    if not chosen.count:
        raise PermanentError(f"nothing of this is offered to {person.operator}", advice="Look again at what is offered.")
    note(tools.store, person, "downloaded", detail=f"{chosen.count} of {account}")
    request_id = tools.store.ask(account, chosen.task)
    return Download(request_id=request_id, count=chosen.count, oldest=chosen.oldest, newest=chosen.newest)


def _account(tools: Tools, person: Person, name: str) -> str:
    """Return the name of an importing account of which the person may see everything; raises PermanentError for any other."""
    found = accounts_seen(tools.config, tools.store, person.viewer).get(name)
    if found is None or not found.imports:
        raise PermanentError(f"{person.user} has no mail of an account of this name", advice="See your subscriptions.")
    return found.name
