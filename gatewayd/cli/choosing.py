"""Find what a viewer chooses of what is offered, download it, and say of each key what became of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gatewayd.api.offers import OfferQuery
from gatewayd.cli import output
from gatewayd.cli.answers import progress_bar
from gatewayd.desk.following import accounts_seen, importing_accounts
from gatewayd.desk.offers import choices, choose
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.health import Answer
    from gatewayd.api.queries import Viewer
    from gatewayd.api.store import Store
    from gatewayd.cli.app import App
    from gatewayd.cli.params import Asker
    from gatewayd.config import AccountConfig

__all__ = ["accounts_of", "download", "offers_of"]

#: How many offers are read at once.
_PAGE = 1000


def accounts_of(app: App, viewer: Viewer, names: Sequence[str]) -> list[AccountConfig]:
    """Return the importing accounts that the viewer may see: those of ``names``, or else those that the viewer follows.

    Raises PermanentError for one that this viewer may not see, as for one that there is not.
    """
    for name in names:
        if name not in accounts_seen(app.config, app.store, viewer):
            # One that is faulty is told so.
            app.account(name)
    return importing_accounts(app.config, app.store, viewer, names)


def download(
    app: App,
    asker: Asker,
    accounts: Sequence[str],
    keys: Sequence[str],
    *,
    folder: str | None,
    offered: bool,
    forward: bool,
    as_json: bool,
) -> bool:
    """Have chosen keys filed for the viewer's operator, or with ``offered`` all that is offered; return whether anything failed."""
    from gatewayd.cli.visiting import visit_one  # noqa: PLC0415  imported late: a list of what is known needs no visit

    viewer = app.viewer(asker)
    failed, missing = False, set(keys)
    # Nothing is chosen of any account before it is clear what all keys name.
    mine = accounts_of(app, viewer, accounts)
    found = [(one, offers_of(app.store, viewer, one.name, keys, folder=folder, offered=offered)) for one in mine]
    with progress_bar() as show:
        for account, wanted in found:
            missing -= set(wanted.values())
            if not wanted:
                continue
            ids = list(wanted)
            chosen = choose(app.store, viewer, account.name, ids, who=app.who, forward=forward)
            is_done = partial(_is_done, app, viewer, account, ids)
            with standard_output_kept():
                answer = visit_one(app, account, chosen.task, show, done=is_done)
            failed = _tell(app, viewer, answer, ids, as_json=as_json) or failed
    if offered and not any(wanted for _, wanted in found):
        output.note(f"{', '.join(one.name for one in mine) or 'no account'}: nothing is offered to {viewer.operator}.")
    if missing:
        advice = "`gatewayd remote --from-beginning` lists what is offered."
        output.error(PermanentError(f"not offered to {viewer.operator}: {', '.join(sorted(missing))}", advice=advice))
    return failed or bool(missing)


def offers_of(
    store: Store, viewer: Viewer, account: str, keys: Sequence[str], *, folder: str | None = None, offered: bool = False
) -> dict[int, str]:
    """Return the offers of these keys, or all that the viewer's operator has not decided about: key by id, newest first.

    ``folder``: only of this one. Without it raises PermanentError for a key that several folders have: some servers number the
    messages of each folder alike, and nobody chose them all.
    """
    found: dict[int, str] = {}
    folders: dict[str, set[str]] = {}
    before = None
    query = partial(OfferQuery, account=account, keys=tuple(keys) or None, open=offered, limit=_PAGE)
    while page := store.offers(viewer, query(before=before)):
        before = page[-1].id
        for one in page:
            if folder in {None, one.folder}:
                found[one.id] = one.key
                folders.setdefault(one.key, set()).add(one.folder)
    several = next((key for key in keys if len(folders.get(key, ())) > 1), None)
    if several is not None:
        where = ", ".join(sorted(folders[several]))
        raise PermanentError(f"several folders have a message {several}: {where}", advice="Say which by `--folder`.")
    return found


def _is_done(app: App, viewer: Viewer, account: AccountConfig, ids: Sequence[int]) -> bool:
    return all(one.result != "waiting" for one in choices(app.store, viewer, account.name, ids))


def _tell(app: App, viewer: Viewer, answer: Answer, ids: Sequence[int], *, as_json: bool) -> bool:
    """Print what became of each key, or of very many only of those that are not here; return whether there are such."""
    for text in (*answer.notes, *answer.problems):
        output.note(f"{answer.account}: {text}")
    if answer.error:
        output.error(GatewaydError(answer.error, advice=answer.advice), account=answer.account)
    rows: list[Sequence[str]] = []
    seen = here = 0
    for choice in choices(app.store, viewer, answer.account, ids):
        one, result, cause = choice.offer, choice.result, choice.cause
        seen, here = seen + 1, here + (result == "here")
        if as_json:
            shown = output.fields(one, "account", "folder", "key", "id")
            output.json_line({**shown, "result": result, "mail": one.mail_id, "cause": cause or None})
        elif len(ids) <= _PAGE or result != "here":
            rows.append((one.account, one.key, result, str(one.mail_id or ""), one.subject[:60], cause))
    output.table(("account", "key", "result", "#mail", "subject", "why"), rows)
    if seen < len(ids):
        # They are shown no more.
        missing = output.count(len(ids) - seen, "message")
        output.note(f"{answer.account}: {missing} brought back a delivery of another operator or user, for whom alone it is filed.")
    output.note(f"{answer.account}: {here} of {output.count(len(ids), 'message')} here.")
    return here < len(ids)
