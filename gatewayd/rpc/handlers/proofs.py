"""Change what a person logs in with: the password and the second factor. What is grave takes the password once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.rpc.calls import Count, FactorSetUp, Nothing, RecoveryCodes

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.rpc.calls import ChangePassword, ConfirmFactor, EndFactor, RenewRecoveryCodes, SetUpFactor
    from gatewayd.rpc.tools import Tools

__all__ = ["change_password", "confirm_factor", "end_factor", "renew_recovery_codes", "set_up_factor"]


def change_password(tools: Tools, person: Person, call: ChangePassword) -> Nothing:
    """Change the password."""
    tools.authenticator.change_password(tools.config, person, call.old, call.new)
    return Nothing()


def set_up_factor(tools: Tools, person: Person, call: SetUpFactor) -> FactorSetUp:
    """Begin to set up a second factor."""
    tools.authenticator.prove(tools.config, person, call.password)
    made = tools.authenticator.second_factors.begin(tools.config, person.operator, person.user)
    return FactorSetUp(secret=made.secret, uri=made.uri)


def confirm_factor(tools: Tools, person: Person, call: ConfirmFactor) -> RecoveryCodes:
    """Let the second factor count from now on."""
    codes = tools.authenticator.second_factors.confirm(tools.config, person.operator, person.user, call.code)
    note(tools.store, person, "changed", detail="second factor set up")
    return RecoveryCodes(codes=tuple(codes))


def renew_recovery_codes(tools: Tools, person: Person, call: RenewRecoveryCodes) -> RecoveryCodes:
    """Make new recovery codes."""
    tools.authenticator.prove(tools.config, person, call.password)
    codes = tools.authenticator.second_factors.new_codes(person.operator, person.user)
    note(tools.store, person, "changed", detail="recovery codes")
    return RecoveryCodes(codes=tuple(codes))


def end_factor(tools: Tools, person: Person, call: EndFactor) -> Count:
    """Remove the second factor."""
    tools.authenticator.prove(tools.config, person, call.password)
    ended = tools.store.end_second_factor(person.web_session.user_id)
    if ended:
        note(tools.store, person, "changed", detail="second factor ended")
    return Count(changed=int(ended))
