"""What a person logs in with: the password, and a second factor with its recovery codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import GatewaydError, calls
from gatewayd_web.pages.settings import changed, section_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["change_password", "confirm_factor", "end_factor", "log_in", "new_codes", "set_up_factor"]

#: Characters that a password and a code may have where the daemon takes them.
_PASSWORD, _CODE = 1000, 40


def log_in(visit: Visit) -> Response:
    """Show what there is."""
    return _page(visit)


def change_password(visit: Visit) -> Response:
    """Change the password."""
    new = visit.field("new")
    if new != visit.field("again"):
        return _page(visit, 400, failed="password", error=visit.gettext("The new password was not typed the same twice."))

    def change() -> Response:
        visit.ask(calls.ChangePassword(token=visit.token, old=_password(visit), new=new[:_PASSWORD]), calls.Nothing)
        return changed("log-in", "password")

    return _tried(visit, "password", change)


def set_up_factor(visit: Visit) -> Response:
    """Show the secret of a new second factor, once."""

    def begin() -> Response:
        made = visit.ask(calls.SetUpFactor(token=visit.token, password=_password(visit)), calls.FactorSetUp)
        secret = " ".join(made.secret[at : at + 4] for at in range(0, len(made.secret), 4))
        return _page(visit, secret=secret, uri=made.uri, confirming=True)

    return _tried(visit, "factor", begin)


def confirm_factor(visit: Visit) -> Response:
    """Have log-ins ask for the second factor from now on, and show recovery codes, once."""
    call = calls.ConfirmFactor(token=visit.token, code=visit.field("code")[:_CODE])
    return _tried(visit, "factor", lambda: _page(visit, codes=visit.ask(call, calls.RecoveryCodes).codes), confirming=True)


def new_codes(visit: Visit) -> Response:
    """Show new recovery codes, once."""
    call = calls.RenewRecoveryCodes(token=visit.token, password=_password(visit))
    return _tried(visit, "factor", lambda: _page(visit, codes=visit.ask(call, calls.RecoveryCodes).codes))


def end_factor(visit: Visit) -> Response:
    """Log in by the password alone from now on."""

    def end() -> Response:
        visit.ask(calls.EndFactor(token=visit.token, password=_password(visit)), calls.Count)
        return changed("log-in", "factor-ended")

    return _tried(visit, "factor", end)


def _tried(visit: Visit, form: str, work: Callable[[], Response], **values: object) -> Response:
    """Return what ``work`` returns, or the page with what went wrong at the form of this name."""
    try:
        return work()
    except GatewaydError as error:
        return _page(visit, 400, failed=form, error=error.message, advice=error.advice, **values)


def _page(visit: Visit, status: int = 200, **values: object) -> Response:
    person = visit.person
    having = visit.reader.store.user_secrets(person.operator, person.user)
    nothing = {"failed": "", "error": "", "advice": "", "secret": "", "uri": "", "codes": (), "confirming": False}
    has_factor = having is not None and having.factor is not None and having.factor.confirmed
    left = having.recovery_codes if having else 0
    return section_page(visit, "log-in", status, has_factor=has_factor, codes_left=left, **{**nothing, **values})


def _password(visit: Visit) -> str:
    return visit.field("password")[:_PASSWORD]
