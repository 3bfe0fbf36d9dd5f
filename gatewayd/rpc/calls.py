"""The calls, and what each is answered with. They come from a process that may have been taken over: every field has a bound.

A call is done for the person whose web session its ``token`` is of. What it names, such as mail, is looked for among what that
person may see, so that a wrong id and somebody else's are the same.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from gatewayd.api.values import Kind
from gatewayd.api.web_sessions import Role
from gatewayd.rpc.answers import (
    Count,
    Download,
    FactorSetUp,
    Failure,
    LoggedIn,
    Nothing,
    RecordRow,
    Records,
    RecoveryCodes,
    RequestIds,
    Value,
)

__all__ = [
    "AnswerShare",
    "AskShare",
    "Call",
    "ChangePassword",
    "ChooseListed",
    "ChooseOffers",
    "ConfirmFactor",
    "Count",
    "DismissOffers",
    "Download",
    "EndFactor",
    "EndWebSessions",
    "FactorSetUp",
    "Failure",
    "FindRecords",
    "Follow",
    "LinkMail",
    "LogIn",
    "LogOut",
    "LoggedIn",
    "Look",
    "Mark",
    "NoteReading",
    "Nothing",
    "RecordRow",
    "Records",
    "RecoveryCodes",
    "RenewRecoveryCodes",
    "RequestIds",
    "SetUpFactor",
    "ShowOffers",
    "StayLoggedIn",
    "UnlinkMail",
]

_Token: TypeAlias = Annotated[str, Field(min_length=16, max_length=200)]
_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
_Id: TypeAlias = Annotated[int, Field(ge=1, lt=1 << 63)]
_Ids: TypeAlias = Annotated[tuple[_Id, ...], Field(min_length=1, max_length=1000)]
_Words: TypeAlias = Annotated[str, Field(max_length=400)]
_Password: TypeAlias = Annotated[str, Field(max_length=1000, repr=False)]
_Code: TypeAlias = Annotated[str, Field(max_length=40, repr=False)]


class Call(Value):
    """A call of a person who is logged in."""

    #: Who may have it done; each role may what the roles before it may.
    role: ClassVar[Role] = "agent"

    token: _Token


class LogIn(Value):
    """Log in. Answered with ``LoggedIn``."""

    call: Literal["log in"] = "log in"
    #: The user as `operator/user`, or a mail address.
    name: Annotated[str, Field(max_length=320)]
    password: _Password
    #: Of the second factor, or a recovery code; empty without one.
    code: _Code = ""
    #: From where, and by which browser.
    address: Annotated[str, Field(max_length=64)]
    agent: Annotated[str, Field(max_length=400)] = ""


class LogOut(Call):
    """End this web session. Answered with ``Nothing``."""

    role: ClassVar[Role] = "reader"
    call: Literal["log out"] = "log out"


class StayLoggedIn(Call):
    """Say that the person did something, so that the web session is not idle. Answered with ``Nothing``."""

    role: ClassVar[Role] = "reader"
    call: Literal["stay"] = "stay"


class EndWebSessions(Call):
    """End others of the person's web sessions: all, or that of a number. Answered with ``Count``."""

    role: ClassVar[Role] = "reader"
    call: Literal["end web sessions"] = "end web sessions"
    number: _Id | None = None


class ChangePassword(Call):
    """Change the person's password, and end the other web sessions. Answered with ``Nothing``."""

    role: ClassVar[Role] = "reader"
    call: Literal["change password"] = "change password"
    old: _Password
    new: _Password


class SetUpFactor(Call):
    """Begin to set up a second factor. It counts once ``ConfirmFactor`` had a code of it. Answered with ``FactorSetUp``."""

    role: ClassVar[Role] = "reader"
    call: Literal["set up factor"] = "set up factor"
    password: _Password


class ConfirmFactor(Call):
    """Confirm the second factor by a code that the app shows. Answered with ``RecoveryCodes``."""

    role: ClassVar[Role] = "reader"
    call: Literal["confirm factor"] = "confirm factor"
    code: _Code


class RenewRecoveryCodes(Call):
    """Make new recovery codes. Answered with ``RecoveryCodes``."""

    role: ClassVar[Role] = "reader"
    call: Literal["renew recovery codes"] = "renew recovery codes"
    password: _Password


class EndFactor(Call):
    """Log in by the password alone from now on. Answered with ``Count``."""

    role: ClassVar[Role] = "reader"
    call: Literal["end factor"] = "end factor"
    password: _Password


class NoteReading(Call):
    """Say that the person opened a mail, or downloaded it or a file of it. Answered with ``Nothing``.

    Who may mark mail has read what was opened.
    """

    role: ClassVar[Role] = "reader"
    call: Literal["note reading"] = "note reading"
    what: Literal["opened", "downloaded"]
    mail_id: _Id
    #: The file's name, for the activity log.
    detail: _Words = ""


class Mark(Call):
    """Mark mail as read or unread. Answered with ``Count``."""

    call: Literal["mark"] = "mark"
    mail_ids: _Ids
    unread: bool


class LinkMail(Call):
    """Link mail to records of one kind by hand. Answered with ``Count``."""

    call: Literal["link"] = "link"
    mail_ids: Annotated[tuple[_Id, ...], Field(min_length=1, max_length=100)]
    kind: Kind
    ids: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=100)]


class UnlinkMail(Call):
    """Remove links, whoever made them. Answered with ``Count``."""

    call: Literal["unlink"] = "unlink"
    mail_id: _Id
    kind: Kind
    ids: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=100)]


class FindRecords(Call):
    """Search records of one kind in the operator's directory by words. Answered with ``Records``."""

    call: Literal["find records"] = "find records"
    kind: Kind
    words: _Words
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Look(Call):
    """Ask the servers of accounts what is new, or with ``recheck`` list them whole. Answered with ``RequestIds``."""

    role: ClassVar[Role] = "reader"
    call: Literal["look"] = "look"
    #: Empty: all that the person follows.
    accounts: Annotated[tuple[_Name, ...], Field(max_length=1000)] = ()
    recheck: bool = False


class ShowOffers(Call):
    """Say up to which entry the person was shown an account's list. Answered with ``Nothing``."""

    role: ClassVar[Role] = "reader"
    call: Literal["show offers"] = "show offers"
    account: _Name
    entry_id: _Id


class ChooseOffers(Call):
    """Have offers filed for the person's operator. Answered with ``Download``."""

    call: Literal["choose"] = "choose"
    account: _Name
    entry_ids: _Ids


class ChooseListed(Call):
    """Have all filed that a list offers, up to the newest entry that the person was shown. Answered with ``Download``."""

    call: Literal["choose listed"] = "choose listed"
    account: _Name
    #: As in ``RemoteQuery``.
    which: Literal["new", "waiting", "all"]
    text: _Words = ""
    since: AwareDatetime | None = None
    up_to: _Id


class DismissOffers(Call):
    """Hide offers from everybody of the operator, or with ``undo`` offer them again. Answered with ``Count``."""

    call: Literal["dismiss"] = "dismiss"
    account: _Name
    entry_ids: _Ids
    undo: bool = False


class Follow(Call):
    """Follow an account, or don't. Answered with ``Count``."""

    role: ClassVar[Role] = "reader"
    call: Literal["follow"] = "follow"
    account: _Name
    followed: bool


class AskShare(Call):
    """Ask the user of a personal account to share it. Answered with ``Count``."""

    role: ClassVar[Role] = "reader"
    call: Literal["ask to share"] = "ask to share"
    account: _Name


class AnswerShare(Call):
    """Share the own personal account with a user, asked or not; or refuse, or end it. Answered with ``Count``."""

    call: Literal["answer share"] = "answer share"
    account: _Name
    user: _Name
    agree: bool
