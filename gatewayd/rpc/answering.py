"""Answer calls: find the person by the web session, check the role, do it, and put what went wrong into words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from gatewayd.access.people import may, person_of
from gatewayd.errors import AuthError, ConfigError, GatewaydError, PermanentError, PluginError, TransientError
from gatewayd.rpc import calls, mailbox_calls
from gatewayd.rpc.handlers import following, mail, mailboxes, offers, proofs, web_sessions
from gatewayd.runtime import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from gatewayd.access.people import Person
    from gatewayd.rpc.tools import Tools

__all__ = ["Answering"]

_AnyCall: TypeAlias = Annotated[
    calls.LogIn
    | calls.LogOut
    | calls.StayLoggedIn
    | calls.EndWebSessions
    | calls.ChangePassword
    | calls.SetUpFactor
    | calls.ConfirmFactor
    | calls.RenewRecoveryCodes
    | calls.EndFactor
    | calls.NoteReading
    | calls.Mark
    | calls.LinkMail
    | calls.UnlinkMail
    | calls.FindRecords
    | calls.Look
    | calls.ShowOffers
    | calls.ChooseOffers
    | calls.ChooseListed
    | calls.DismissOffers
    | calls.Follow
    | calls.AskShare
    | calls.AnswerShare
    | mailbox_calls.FindServers
    | mailbox_calls.GetKey
    | mailbox_calls.AddMailbox
    | mailbox_calls.ChangeMailboxPassword
    | mailbox_calls.RemoveMailbox,
    Field(discriminator="call"),
]
_CALLS: TypeAdapter[_AnyCall] = TypeAdapter(_AnyCall)

#: What does each call, once it is clear that the person may have it done.
_HANDLERS: Mapping[type[calls.Call], Callable[[Tools, Person, Any], BaseModel]] = {
    calls.LogOut: web_sessions.log_out,
    calls.StayLoggedIn: web_sessions.stay,
    calls.EndWebSessions: web_sessions.end,
    calls.ChangePassword: proofs.change_password,
    calls.SetUpFactor: proofs.set_up_factor,
    calls.ConfirmFactor: proofs.confirm_factor,
    calls.RenewRecoveryCodes: proofs.renew_recovery_codes,
    calls.EndFactor: proofs.end_factor,
    calls.NoteReading: mail.note_reading,
    calls.Mark: mail.mark,
    calls.LinkMail: mail.link,
    calls.UnlinkMail: mail.unlink,
    calls.FindRecords: mail.find_records,
    calls.Look: offers.look,
    calls.ShowOffers: offers.show,
    calls.ChooseOffers: offers.choose,
    calls.ChooseListed: offers.choose_listed,
    calls.DismissOffers: offers.dismiss,
    calls.Follow: following.follow,
    calls.AskShare: following.ask,
    calls.AnswerShare: following.answer,
    mailbox_calls.FindServers: mailboxes.find_servers,
    mailbox_calls.GetKey: mailboxes.get_key,
    mailbox_calls.AddMailbox: mailboxes.add,
    mailbox_calls.ChangeMailboxPassword: mailboxes.change_password,
    mailbox_calls.RemoveMailbox: mailboxes.remove,
}
_NAMES = {AuthError: "auth", ConfigError: "config", PluginError: "plugin", TransientError: "transient", PermanentError: "permanent"}


class Answering:
    """Answers calls in any of several threads."""

    def __init__(self) -> None:
        #: None until the daemon has read its config.
        self.tools: Tools | None = None

    def answer(self, content: bytes) -> bytes:
        """Return the answer to a call; never raises."""
        try:
            answer = self._answer(content)
        except GatewaydError as error:
            answer = _failure(error)
        except Exception as error:  # noqa: BLE001  a bug must not end the thread, and the person is told
            journal.own_fault("rpc", error)
            answer = _failure(TransientError("gatewayd has a fault of its own", advice="The daemon's log says more."))
        return answer.model_dump_json().encode()

    def _answer(self, content: bytes) -> BaseModel:
        try:
            call = _CALLS.validate_json(content)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise PermanentError(f"the call is none that is known: {where}: {first['msg']}") from None
        tools = self.tools
        if tools is None:
            raise TransientError("the daemon is starting", advice="Try again in a few seconds.")
        if isinstance(call, calls.LogIn):
            return web_sessions.log_in(tools, call)
        person = person_of(tools.config, tools.store, call.token)
        if person is None:
            raise AuthError("nobody is logged in by this", advice="Log in.")
        if not may(person.role, call.role):
            raise PermanentError(f"{person.user} may not do this: it needs the role {call.role}", advice="Ask an administrator.")
        return _HANDLERS[type(call)](tools, person, call)


def _failure(error: GatewaydError) -> calls.Failure:
    """Return an error for another process. What is neither of the five is a fault of a plugin."""
    name = next((name for kind, name in _NAMES.items() if isinstance(error, kind)), "plugin")
    after = error.retry_after if isinstance(error, TransientError) else None
    return calls.Failure.model_validate({"error": name, "message": error.message, "advice": error.advice, "retry_after": after})
