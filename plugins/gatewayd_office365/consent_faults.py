"""What Microsoft's log-in service refuses where a person consents, and what to do about it: tables before that of all requests.

Source: "Microsoft Entra authentication and authorization error codes"; RFC 6749 sections 4.1.2.1 and 5.2; RFC 8628 section 3.5.
"""

from __future__ import annotations

from gatewayd import ConsentEnded
from gatewayd_office365.token_faults import APP, TOKEN_FAULTS, TokenFault

__all__ = ["CODE_FAULTS", "CONSENT_FAULTS", "DEVICE_FAULTS", "REFRESH_FAULTS"]

_POLICY = "the Microsoft Entra admin center, Conditional Access, the policies for users"

#: For all requests that a person stands behind.
CONSENT_FAULTS = (
    TokenFault(
        codes=(50132, 50133, 50173),
        verb=ConsentEnded,
        what="the consent has ended: the person has a new password, or was logged out everywhere",
        advice="If nobody has done that, see the user's sign-in logs in the Microsoft Entra admin center.",
    ),
    TokenFault(
        codes=(700082,),
        verb=ConsentEnded,
        what="the consent has ended: it was not used for 90 days",
        advice="An account that is polled uses it each hour.",
    ),
    TokenFault(
        codes=(70043,),
        verb=ConsentEnded,
        what="the consent has ended: a policy wants the person to log in again from time to time",
        advice=f"It ends again unless an administrator takes the app out of that policy: {_POLICY}, Session, Sign-in frequency.",
    ),
    TokenFault(
        codes=(50072, 50074, 50076, 50078, 50079, 50158, 700020),
        words=("interaction_required", "login_required"),
        verb=ConsentEnded,
        what="Microsoft wants the person to prove once more who it is, as with a second factor",
        advice=f"If it comes again soon, see {_POLICY}.",
    ),
    TokenFault(
        codes=(700084,),
        verb=ConsentEnded,
        what="the consent has ended: those of a single-page application last for a day",
        advice=f"Register http://localhost as Mobile and desktop applications, {APP}, Authentication.",
    ),
    TokenFault(
        codes=(65001,),
        words=("consent_required",),
        verb=ConsentEnded,
        what="the person has not consented to all that this needs, or has taken the consent back",
        advice=f"Where persons may not consent by themselves, an administrator does it for all, {APP}, API permissions, Grant "
        "admin consent.",
    ),
    TokenFault(
        codes=(90093, 90094, 90095),
        what="only an administrator may consent to this in the tenant",
        advice=f"Have an administrator do that for all, {APP}, API permissions, Grant admin consent. Then let the person consent.",
    ),
    TokenFault(
        codes=(65004,),
        words=("access_denied", "authorization_declined"),
        what="the person has declined",
        advice="Run the command again, and let the person accept what the page asks.",
    ),
    TokenFault(
        codes=(16000, 50014, 50020, 500200, 51004, 90072),
        what="who has logged in is no user of the tenant",
        advice="Open the link in a private window of the browser, and log in as the mailbox's own user. Check `tenant`, too.",
    ),
    TokenFault(
        codes=(50105,),
        what="the user is not assigned to the app",
        advice="Assign the user in the Microsoft Entra admin center, Enterprise applications, your app, Users and groups. Or set "
        "Assignment required to No there, Properties.",
    ),
    TokenFault(
        codes=(50034, 50053, 50055, 50057, 50144),
        what="the user's own account is gone, disabled or locked, or its password has expired",
        advice="See the user in the Microsoft Entra admin center, Users.",
    ),
    TokenFault(
        codes=(50005, 50097, 50131, 53000, 53001, 53002, 53003, 53011, 530032, 530035),
        what="a policy of Conditional Access does not let the app in from this machine",
        advice=f"Have an administrator allow this machine's address, or take the app out of the policy: {_POLICY}.",
    ),
    TokenFault(
        codes=(700025,),
        what="the app is a public client, and those have no secret",
        advice="Take `secret` or `certificate` out of the credential. Or register http://localhost as Web in place of Mobile and "
        f"desktop applications, {APP}, Authentication.",
    ),
    TokenFault(
        codes=(7000218,),
        what="the app is no public client, and has no secret here",
        advice=f"Register http://localhost as Mobile and desktop applications, {APP}, Authentication, and for a device code allow "
        "public client flows there. Or give `secret`.",
    ),
    TokenFault(
        codes=(50011, 500112, 500113, 70004, 900971),
        what="the app has no such redirect URI",
        advice=f"Register http://localhost, without a slash at its end, {APP}, Authentication, Add a platform, Mobile and desktop "
        "applications.",
    ),
    TokenFault(
        codes=(9002327,),
        what="the redirect URI is that of a single-page application",
        advice=f"Register it anew as Mobile and desktop applications, {APP}, Authentication.",
    ),
    TokenFault(
        codes=(65005, 650053, 650056, 650057, 90008),
        what="the app may not ask for these permissions",
        advice=f"Add the delegated permissions, {APP}, API permissions: see docs/office365.md.",
    ),
)

#: For whatever else ends a consent.
_ENDED = TokenFault(
    codes=(50085, 50089, 70000, 70008),
    words=("invalid_grant",),
    any_number=True,
    verb=ConsentEnded,
    what="Microsoft does not take the consent any more",
    advice="What ended it is in the user's sign-in logs in the Microsoft Entra admin center.",
)
_CODE = TokenFault(
    codes=(54005, 70000, 70008, 50148, 501481, 700005, 9002313),
    words=("invalid_grant",),
    any_number=True,
    what="the pasted address is too old, was used already, or is not whole",
    advice="Run the command again, open the link that it shows now, and paste the whole address within ten minutes.",
)
_DEVICE = TokenFault(
    codes=(70018, 70019, 70020, 90120),
    words=("expired_token", "bad_verification_code", "invalid_grant"),
    what="the device code has expired, or was used already",
    advice="Run the command again, and type in the code that it shows now within a quarter of an hour.",
)

REFRESH_FAULTS = (*CONSENT_FAULTS, _ENDED, *TOKEN_FAULTS)
CODE_FAULTS = (*CONSENT_FAULTS, _CODE, *TOKEN_FAULTS)
DEVICE_FAULTS = (*CONSENT_FAULTS, _DEVICE, *TOKEN_FAULTS)
