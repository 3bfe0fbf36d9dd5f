"""What Google's token endpoint refuses, and what to do about it: one table, which docs/google.md shows.

Codes are those of RFC 6749 section 5.2 and Google's own ("Using OAuth 2.0 for Server to Server Applications", "Refresh token
expiration"). Google has one code, ``invalid_grant``, for many faults: there its words choose the advice. The class of the error
depends on status and code alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["OTHER", "REFUSALS", "Refusal", "Way", "refusal"]

#: How a token is asked for.
#: ``consent`` is by the refresh token of a person who has consented at our asking, ``code`` what comes before that token.
Way: TypeAlias = Literal["service account", "refresh token", "consent", "code"]

_ACCOUNTS = "https://console.cloud.google.com/iam-admin/serviceaccounts"
_CLIENTS = "https://console.cloud.google.com/auth/clients"
_AUDIENCE = "https://console.cloud.google.com/auth/audience"
_DELEGATION = "https://admin.google.com/ac/owl/domainwidedelegation"
_APPS = "https://admin.google.com/ac/owl"
_USERS = "https://admin.google.com/ac/users"
_GMAIL = "https://console.cloud.google.com/apis/library/gmail.googleapis.com"
_AGAIN = "let the user consent again for a new refresh token (docs/google.md)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One kind of refusal. ``{user}``, ``{account}``, ``{client}`` and ``{scope}`` in its texts are those of the request."""

    #: Google's code, or a status.
    codes: tuple[str, ...]
    #: For which ways of asking; empty: for all.
    ways: tuple[Way, ...] = ()
    #: In lower case; one of them is in what Google says beside the code. Empty: whatever it says.
    words: tuple[str, ...] = ()
    says: str
    advice: str
    #: It may work later by itself.
    later: bool = False
    #: The consent has ended.
    ends: bool = False


REFUSALS = (
    Refusal(
        codes=("invalid_grant",),
        ways=("service account",),
        words=("timeframe", "short-lived"),
        says="the clock of this machine is wrong by minutes",
        advice="Set the clock (`timedatectl set-ntp true`), and see that it is kept right.",
    ),
    Refusal(
        codes=("invalid_grant", "invalid_client"),
        ways=("service account",),
        words=("signature",),
        says="the key of the service account {account} was deleted or disabled, or it is another's",
        advice=f"Make a new key of type JSON at {_ACCOUNTS}, and put its file in place of the old one.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("service account",),
        words=("account not found",),
        says="the service account {account} was deleted",
        advice=f"Restore it within 30 days, or make another one at {_ACCOUNTS}, and delegate it at {_DELEGATION}.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("service account",),
        words=("email",),
        says="Google has no user {user} there: deleted, suspended, or never made",
        advice=f"Correct `username` to the user's primary address, or restore the user, at {_USERS}; no group or alias.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("service account",),
        says="the service account {account} gets no token for {user}",
        advice=f"Check the user at {_USERS}, the key at {_ACCOUNTS}, and the clock of this machine.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("refresh token",),
        words=("rapt",),
        says="the user's organisation wants a new log-in after some hours, which ends refresh tokens",
        advice="Let the administrator exempt trusted apps (admin.google.com: Security, Access and data control, Google Cloud "
        f"session control), and {_AGAIN}; or use a service account.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("refresh token",),
        words=("expired", "revoked"),
        says="the refresh token has expired or was revoked",
        advice=f"Publish the app at {_AUDIENCE}, since while it is in testing each consent ends after 7 days; then {_AGAIN}. "
        "A refresh token also ends after six months without use, by a change of the password, and when the user removes the app "
        "(https://myaccount.google.com/connections).",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("refresh token",),
        says="Google does not take the refresh token: it is not whole, is another client's, or the user is gone",
        advice=f"Check that `refresh_token` was given for {{client}}; else {_AGAIN}.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("consent",),
        words=("rapt",),
        ends=True,
        says="the consent of {user} has ended: the organisation wants a new log-in after some hours",
        advice="It ends again unless the administrator exempts trusted apps (admin.google.com: Security, Access and data control, "
        "Google Cloud session control); or use a service account.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("consent",),
        words=("expired", "revoked"),
        ends=True,
        says="the consent of {user} has expired, or was taken back",
        advice=f"It ends after 7 days while the app is in testing: publish it at {_AUDIENCE}. It also ends after six months "
        "without use, by a change of the password, and when the user removes the app (https://myaccount.google.com/connections).",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("consent",),
        ends=True,
        says="Google does not take the consent of {user}: it was for another client, or the user is gone",
        advice="Check that `client` is the one that the user has consented to, and that the user is still there.",
    ),
    Refusal(
        codes=("invalid_grant",),
        ways=("code",),
        says="the pasted address is too old, was used already, or is not whole",
        advice="Run the command again, open the link that it shows now, and paste the whole address within some minutes.",
    ),
    Refusal(
        codes=("access_denied",),
        ways=("code",),
        says="{user} has declined",
        advice="Run the command again, and let the user accept what the page asks. While the app is in testing, only its test "
        f"users can: {_AUDIENCE}.",
    ),
    Refusal(
        codes=("ACCESS_TOKEN_SCOPE_INSUFFICIENT",),
        ways=("code",),
        says="{user} has not allowed all that the page asks",
        advice="Run the command again, and let the user tick the box for reading and sending mail.",
    ),
    Refusal(
        codes=("redirect_uri_mismatch",),
        ways=("code",),
        says="the client {client} is not of the type Desktop app",
        advice=f"Make one of that type at {_CLIENTS}, and give its `client` and `client_secret`.",
    ),
    Refusal(
        codes=("unauthorized_client",),
        ways=("service account",),
        says="the service account {account} is not delegated for this scope",
        advice=f"At {_DELEGATION} add the client ID {{client}} with the scope {{scope}}; it may take a day to work. {{user}} must "
        "be a user of that organisation: a private Gmail mailbox needs a refresh token.",
    ),
    Refusal(
        codes=("unauthorized_client",),
        ways=("refresh token", "consent", "code"),
        says="the client {client} may not use this refresh token",
        advice=f"Give `client` and `client_secret` as they are at {_CLIENTS} for the client that the user consented to.",
    ),
    Refusal(
        codes=("invalid_client",),
        ways=("service account",),
        says="Google does not take the service account {account}",
        advice=f"Check at {_ACCOUNTS} that it is enabled, and that it has the key of the file.",
    ),
    Refusal(
        codes=("invalid_client",),
        ways=("refresh token", "consent", "code"),
        says="`client` or `client_secret` is wrong",
        advice=f"Copy both from {_CLIENTS}; a secret that was lost is made anew there.",
    ),
    Refusal(
        codes=("deleted_client",),
        says="the client {client} was deleted",
        advice=f"Restore it within 30 days at {_CLIENTS}, or make another one, for which each user consents again.",
    ),
    Refusal(
        codes=("disabled_client",),
        says="the client {client} is disabled",
        advice=f"Enable it at {_CLIENTS}, and a service account with its key at {_ACCOUNTS}.",
    ),
    Refusal(
        codes=("org_internal",),
        says="the app of the client {client} is for the users of its own organisation only",
        advice=f"Make it external at {_AUDIENCE}, or use a client of the user's organisation.",
    ),
    Refusal(
        codes=("admin_policy_enforced",),
        says="the user's administrator does not allow this app to read mail",
        advice=f"Let the administrator trust the client {{client}} at {_APPS} (API controls, App access control).",
    ),
    Refusal(
        codes=("invalid_scope",),
        says="the scope {scope} is not one that can be had so",
        advice=f"Take the default of `scope`, and delegate just that at {_DELEGATION}.",
    ),
    Refusal(
        codes=("SERVICE_DISABLED", "accessNotConfigured"),
        says="the Gmail API is disabled in the project of {client}",
        advice=f"Enable it at {_GMAIL}; it takes some minutes.",
    ),
    Refusal(
        codes=("access_denied", "PERMISSION_DENIED"),
        ways=("service account", "refresh token", "consent"),
        says="Google does not let {client} ask for this",
        advice=f"Check at {_DELEGATION} and {_APPS} (API controls) that the app may use {{scope}}, and at {_GMAIL} that the "
        "Gmail API is enabled.",
    ),
    Refusal(
        codes=("429", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"),
        says="Google is asked for too many tokens",
        advice="It is tried again by itself. If it lasts, see who else uses this client.",
        later=True,
    ),
    Refusal(
        codes=("5xx", "internal_failure", "server_error", "temporarily_unavailable", "UNAVAILABLE"),
        says="Google can't give a token now",
        advice="It is tried again by itself; https://www.google.com/appsstatus says how Google is.",
        later=True,
    ),
)
#: For whatever else Google says.
OTHER = Refusal(
    codes=("another code",),
    says="Google refuses a token",
    advice=f"Look the code up in Google's documentation of OAuth 2.0, and check the client {{client}} at {_CLIENTS}.",
)


def refusal(said: tuple[str, ...], way: Way) -> Refusal:
    """Return the first entry that fits what Google says: its codes, and its words, among which a code may be, too."""
    text = " ".join(said).lower()
    for one in REFUSALS:
        fits = not one.words or any(word in text for word in one.words)
        if fits and (not one.ways or way in one.ways) and not set(said).isdisjoint(one.codes):
            return one
    return OTHER
