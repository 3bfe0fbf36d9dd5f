"""``account connect`` and ``disconnect``: ask a person for consent to open the mailbox of an account, and forget it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.api.consent import DeviceCode
from gatewayd.api.health import Task
from gatewayd.cli import output
from gatewayd.errors import PermanentError, TransientError
from gatewayd.sealing.asking import REDIRECT, code_of, new_request
from gatewayd.sealing.consents import asked

if TYPE_CHECKING:
    from gatewayd.api.consent import ConsentRequest, Grant
    from gatewayd.api.token_source import TokenUse
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["connect", "disconnect"]

#: How many addresses a person may paste that are not the one.
_TRIES = 3
#: Seconds: no authority is asked more often than that, or for longer, whatever it says; and the longest wait after a failure.
_LEAST_INTERVAL, _LONGEST, _MOST_INTERVAL = 1.0, 3600.0, 60.0


@click.command("connect")
@click.argument("name")
@click.option("--device-code", is_flag=True, help="Show a code to type in, if the credential allows that. No address is pasted.")
@click.pass_obj
def connect(app: App, name: str, *, device_code: bool) -> None:
    """Ask the person whose mailbox account NAME opens for consent.

    Shows a link. The person opens it in a browser on any machine, consents, and ends at an address of that machine where nothing
    answers. That address is pasted here. Only a consent for the account's own mailbox is kept, sealed, in the store.
    """
    account = app.account(name)
    use = _use(account)
    # Before anybody is asked: what they consent to can be kept.
    app.consents.prove(app.store)
    # All accounts that have the same tokens have this consent.
    same = [one for one in app.config.accounts.values() if config.token_use(one.options) == use]
    changes = any(one.imports is not None and one.imports.after is not None for one in same)
    request = new_request(use, changes=changes, sends=any(one.sends is not None for one in same))
    app.consents.keep(use, _by_code(use, request) if device_code else _by_link(use, request))
    output.note(f"Account {name} is connected: {use.user} has consented.")
    if app.daemons() and account.imports is not None:
        # It may be paused for want of this. What waits to be sent goes by itself.
        app.store.ask(name, Task())


@click.command("disconnect")
@click.argument("name")
@click.pass_obj
def disconnect(app: App, name: str) -> None:
    """Forget the consent of the person whose mailbox account NAME opens.

    A token that a daemon has stays valid for about an hour. The authority still has the consent: there the person can revoke it.
    """
    use = _use(app.account(name))
    was = app.has_store() and app.consents.forget(use)
    output.note(f"The consent of {use.user} is forgotten." if was else f"There is no consent of {use.user}.")


def _use(account: AccountConfig) -> TokenUse:
    use = config.token_use(account.options)
    if use is None or use.source.consent is None:
        raise PermanentError(
            f"account {account.name} opens its mailbox without anybody's consent",
            advice="Its credential would need `consent: true`; see docs/modern-authentication.md.",
        )
    return use


def _by_link(use: TokenUse, request: ConsentRequest) -> Grant:
    output.say(f"Open this address in a browser, log in as {request.user}, and consent:")
    output.say("")
    output.say(asked(use, lambda consent: consent.link(request)))
    output.say("")
    output.say(f"The browser ends at {REDIRECT}, with an error, since nothing answers there. Copy the whole address from it.")
    code = _pasted(use, request)
    return asked(use, lambda consent: consent.redeem(request, code))


def _pasted(use: TokenUse, request: ConsentRequest) -> str:
    """Return the code of the address that the person pastes."""
    # A terminal alone cuts lines after 4,095 characters.
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415  what is imported changes ``input``, by which click reads
    for left in reversed(range(_TRIES)):
        pasted: str = click.prompt("Paste it here")
        try:
            return asked(use, partial(code_of, pasted, request))
        except PermanentError as error:
            if not left:
                raise
            output.note(error.sentences)
    raise AssertionError


def _by_code(use: TokenUse, request: ConsentRequest) -> Grant:
    code = asked(use, lambda consent: consent.device(request))
    if code is None:
        raise PermanentError(
            "the credential allows no device code", advice="Leave --device-code out, or see docs/modern-authentication.md."
        )
    output.say(f"Open {code.url} in a browser, type in the code {code.user_code}, and log in as {request.user}.")
    until = time.monotonic() + min(code.lasts, _LONGEST)
    while time.monotonic() < until:
        time.sleep(max(code.interval, _LEAST_INTERVAL))
        found = _polled(use, code)
        if not isinstance(found, DeviceCode):
            return found
        code = found
    raise PermanentError("nobody consented while the code was valid", advice="Run the command again for another code.")


def _polled(use: TokenUse, code: DeviceCode) -> Grant | DeviceCode:
    """Ask once. An authority that does not answer is asked again later: the person may be typing (RFC 8628 section 3.5)."""
    try:
        return asked(use, lambda consent: consent.poll(code))
    except TransientError as error:
        output.note(error.sentences)
        return replace(code, interval=min(2 * max(code.interval, _LEAST_INTERVAL), _MOST_INTERVAL))
