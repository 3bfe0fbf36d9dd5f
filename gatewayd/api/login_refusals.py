"""What servers say when they refuse a log-in, and what to do about it: one table, which docs/people.md shows.

All words are what a server was seen to say. The comment above an entry names where: an issue of a project, or the server's source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["LOGIN_REFUSALS", "LoginRefusal", "MailProtocol"]

MailProtocol: TypeAlias = Literal["IMAP", "POP3", "SMTP"]

_IMAP, _POP3, _SMTP = ("IMAP",), ("POP3",), ("SMTP",)
_READING = ("IMAP", "POP3")

_MODERN = "docs/modern-authentication.md has the steps."
_GOOGLE = (
    "Make an app password at https://myaccount.google.com/apppasswords, for which 2-Step Verification must be on, and give it as "
    f"`password`; or give a `credential` of kind `google` in its place: {_MODERN}"
)
_MICROSOFT = f"Give a `credential` of kind `office365` in place of `password`: {_MODERN} An app password does not help."
_YAHOO = (
    "Make an app password at https://login.yahoo.com/myaccount/security (External connections, Create app password), and give it "
    "as `password`, with the whole address as `username`."
)
_APPLE = (
    "Make an app-specific password at https://account.apple.com (Sign-In and Security, App-Specific Passwords), and give it as "
    "`password`, with the iCloud address as `username`."
)
_GMX = (
    "Log in at the provider's web page and allow access by POP3 and IMAP (E-Mail, Einstellungen, POP3/IMAP Abruf): it is off at "
    "first, and is turned off again if it is not used. With two-factor authentication, make an application-specific password there "
    "(Sicherheit) and give it as `password`."
)
_ZOHO = (
    "Make an app password at https://accounts.zoho.com (Security, App Passwords) if the account has multi-factor authentication, "
    "and give it as `password`. Check that `host` is of the region that the account is in, such as imap.zoho.eu."
)
_FASTMAIL = (
    "Make an app password at https://app.fastmail.com (Settings, Privacy & Security, Manage app passwords), with access to mail, "
    "and give it as `password`, with the whole address as `username`. The plan Basic has none."
)
_TLS = "Use `security: tls`, or `starttls`."
_NAME = (
    "The server does not tell whether name, password or right is wrong. Check `password`; try `username` as the whole address, and "
    "as the part before the @; then ask the server's administrator whether this mailbox may use this protocol."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRefusal:
    """One kind of refused log-in."""

    #: Whose answer it is.
    who: str
    #: One of them is in the answer, in whatever case.
    words: tuple[str, ...]
    protocols: tuple[str, ...] = ("IMAP", "POP3", "SMTP")
    #: The domains whose servers mean this by the words. Empty: nobody else says so.
    domains: tuple[str, ...] = ()
    #: What is wrong.
    says: str
    #: What to do. ``MAILBOX`` stands for the name that was logged in with.
    advice: str
    #: It means the same for a log-in with an access token.
    token: bool = False


_GMAIL = ("gmail.com", "googlemail.com")
_OUTLOOK = ("office365.com", "outlook.com", "office.com")
_ZOHOS = ("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au")

LOGIN_REFUSALS = (
    # LukeSmithxyz/mutt-wizard#831 (IMAP), mailman/mailman#50 (POP3), bberkay/openmail#1 (SMTP).
    LoginRefusal(
        who="Gmail",
        words=("Application-specific password required",),
        says="Google takes an app password, not the password of the account",
        advice=_GOOGLE,
    ),
    # pmengal/MailSystem.NET#17 (IMAP), firebase/functions-samples#39 and mealie-recipes/mealie#2395 (SMTP).
    LoginRefusal(
        who="Gmail",
        words=("Please log in via your web browser", "Please log in with your web browser", "Web login required"),
        says="Google wants to see a person first",
        advice="Log in to the mailbox in a browser, and confirm at https://myaccount.google.com/security that it was you. "
        f"{_GOOGLE}",
    ),
    # mozilla-b2g/gaia-email-libs-and-more, its tests of IMAP log-ins.
    LoginRefusal(
        who="Gmail",
        words=("Your account is not enabled for IMAP use",),
        protocols=_IMAP,
        says="IMAP is off in the mailbox's settings",
        advice="Log in to the mailbox in a browser: Settings, See all settings, Forwarding and POP/IMAP, Enable IMAP.",
        token=True,
    ),
    # mozilla-b2g/gaia-email-libs-and-more and google/googleapps-message-recall.
    LoginRefusal(
        who="Gmail",
        words=("IMAP access is disabled for your domain",),
        protocols=_IMAP,
        says="IMAP is off for the whole organisation",
        advice="Let its administrator allow IMAP at https://admin.google.com/ac/apps/gmail/enduseraccess (POP and IMAP access).",
        token=True,
    ),
    # EmailAutomation's Pop3ClientTest. It is the answer to the first command after the log-in, with the code SYS/PERM.
    LoginRefusal(
        who="Gmail",
        words=("Your account is not enabled for POP access",),
        protocols=_POP3,
        says="POP is off in the mailbox's settings",
        advice="Log in to the mailbox in a browser: Settings, See all settings, Forwarding and POP/IMAP, Enable POP for all mail.",
        token=True,
    ),
    # jef/streetmerchant#1190 (SMTP); reports of KMail and of other clients (POP3).
    LoginRefusal(
        who="Gmail",
        words=("Username and Password not accepted",),
        protocols=("POP3", "SMTP"),
        says="the password is wrong, or it is that of the account, which Google does not take",
        advice=_GOOGLE,
    ),
    # moralmunky/Home-Assistant-Mail-And-Packages#683, imapsync/imapsync#175.
    LoginRefusal(
        who="Gmail",
        words=("Invalid credentials",),
        protocols=_IMAP,
        domains=_GMAIL,
        says="the password is wrong, or it is that of the account, which Google does not take",
        advice=_GOOGLE,
    ),
    # simonrob/email-oauth2-proxy#193, nodemailer/nodemailer#1484.
    LoginRefusal(
        who="Microsoft",
        words=("SmtpClientAuthentication is disabled",),
        protocols=_SMTP,
        says="SMTP is off for this mailbox or the whole tenant",
        advice="Let the mailbox log in by SMTP, in Exchange Online PowerShell: "
        "`Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false`",
        token=True,
    ),
    # holon-run/uxc#445 (IMAP), nodemailer/nodemailer#1714 and rpremraj/mailR#107 (SMTP).
    LoginRefusal(
        who="Microsoft",
        words=("basic authentication is disabled",),
        says="Microsoft takes no passwords for mail any more",
        advice=_MICROSOFT,
    ),
    # discourse/discourse, lib/email_settings_exception_handler.rb; docs.bookyourpto.com/features/smtp-troubleshoot.
    LoginRefusal(
        who="Microsoft",
        words=("organization's security defaults policy", "the request did not meet the criteria to be authenticated"),
        protocols=_SMTP,
        says="the organisation's policies (security defaults, conditional access) allow no such log-in",
        advice=_MICROSOFT,
    ),
    # faq.liveagent.com/414721. Its plugin waits, since servers that are away say it, too.
    LoginRefusal(
        who="Microsoft",
        words=("User is authenticated but not connected",),
        protocols=_IMAP,
        says="IMAP is off for this mailbox, or its servers are away for a moment",
        advice="If it lasts, turn IMAP on: in the Microsoft 365 admin center (Users, the user, Mail, Manage email apps), or at "
        "https://outlook.live.com (Settings, Mail, Forwarding and IMAP).",
    ),
    # mjs/imapclient#602, imapsync/imapsync#317 (LOGIN), jstedfast/MailKit#483 (AUTHENTICATE), pulb/mailnag#200 (POP3),
    # jstedfast/MailKit#700 (SMTP).
    LoginRefusal(
        who="Microsoft",
        words=("LOGIN failed", "AUTHENTICATE failed", "unknown user name or bad password", "Authentication unsuccessful"),
        domains=_OUTLOOK,
        says="Microsoft takes no passwords for mail any more, and often says no more than that",
        advice=_MICROSOFT,
    ),
    # emersion/go-imap#436, OfflineIMAP/offlineimap#688.
    LoginRefusal(
        who="Yahoo",
        words=("Invalid credentials",),
        protocols=_IMAP,
        domains=("yahoo.com",),
        says="the password is wrong, or it is that of the account, which Yahoo does not take",
        advice=_YAHOO,
    ),
    # codebykat/wp-post-by-email (IMAP), nodemailer/nodemailer#1112 and nedimf/maildroid#17 (SMTP).
    LoginRefusal(
        who="Yahoo",
        words=("(#MBR1212)", "(#AUTH012)", "(#AUTH005)"),
        says="the password is wrong, or it is that of the account, which Yahoo does not take",
        advice=_YAHOO,
    ),
    # lefcha/imapfilter#125, Ryan0204/cursor-auto-icloud#12.
    LoginRefusal(
        who="iCloud",
        words=("Authentication failed",),
        protocols=_IMAP,
        domains=("me.com", "icloud.com"),
        says="the password is wrong, or it is that of the Apple Account, which iCloud does not take",
        advice=_APPLE,
    ),
    # thunderbird/thunderbird-android#5780 (IMAP), jens-maus/yam#638 (POP3), muquit/mailsend-go#67 (SMTP).
    LoginRefusal(
        who="GMX, WEB.DE",
        words=("authentication failed", "Authentication credentials invalid"),
        domains=("gmx.net", "gmx.com", "web.de"),
        says="access by POP3 and IMAP is off in the mailbox's settings, or the password is wrong",
        advice=_GMX,
    ),
    # nylas/sync-engine, tests/auth.
    LoginRefusal(
        who="Zoho",
        words=("You are yet to enable IMAP for your account",),
        protocols=_IMAP,
        says="IMAP is off in the mailbox's settings",
        advice="Log in at https://mail.zoho.com: Settings, Mail Accounts, the address, IMAP, IMAP Access. If it is not there, the "
        "organisation's administrator allows it, or the plan has no IMAP.",
        token=True,
    ),
    # Foundry376/Mailspring#1334 (IMAP), nodemailer/nodemailer#456 (SMTP).
    LoginRefusal(
        who="Zoho",
        words=("Invalid credentials", "Authentication Failed"),
        protocols=("IMAP", "SMTP"),
        domains=_ZOHOS,
        says="the password is wrong, is that of an account with multi-factor authentication, or of another region",
        advice=_ZOHO,
    ),
    # Foundry376/Mailspring#2217.
    LoginRefusal(
        who="Fastmail",
        words=("Incorrect username or password",),
        protocols=_IMAP,
        domains=("fastmail.com", "messagingengine.com"),
        says="the password is wrong, or it is that of the account, which Fastmail does not take",
        advice=_FASTMAIL,
    ),
    # dovecot/core, src/login-common/client-common.h, of version 2.3 and of 2.4.
    LoginRefusal(
        who="Dovecot",
        words=("Plaintext authentication disallowed", "Cleartext authentication disallowed"),
        protocols=_READING,
        says="the server takes no password on a connection without TLS",
        advice=_TLS,
    ),
    # dovecot/core, src/login-common/client-common.h; docker-mailserver/docker-mailserver#1631 (POP3).
    LoginRefusal(
        who="Dovecot",
        words=("[AUTHENTICATIONFAILED] Authentication failed.", "[AUTH] Authentication failed."),
        protocols=_READING,
        says="name or password is wrong, or the mailbox may not be read so",
        advice=_NAME,
    ),
    # cyrusimap/cyrus-imapd, imap/imapd.c and imap/pop3d.c.
    LoginRefusal(
        who="Cyrus",
        words=("only available under a layer",),
        protocols=_READING,
        says="the server takes no password on a connection without TLS",
        advice=_TLS,
    ),
    # cyrusimap/cyrus-imapd, imap/imapd.c with the words of SASL, and imap/pop3d.c.
    LoginRefusal(
        who="Cyrus",
        words=("Login failed: authentication failure", "[AUTH] Invalid login"),
        protocols=_READING,
        says="name or password is wrong, or the mailbox may not be read so",
        advice=_NAME,
    ),
    # svarshavchik/courier-libs, imap/imapd.C and imap/pop3dserver.C.
    LoginRefusal(
        who="Courier",
        words=("IMAP access disabled", "POP3 access disabled"),
        protocols=_READING,
        says="the protocol is off for this mailbox, or for connections without TLS",
        advice="Let the server's administrator take `disableimap` or `disablepop3` out of the account's options, or use TLS.",
    ),
    # svarshavchik/courier-libs, imap/imaplogin.C and imap/pop3login.C. Exchange with a host name of its own: jstedfast/MailKit#483
    # (IMAP), mattnenterprise/rust-pop3#17 (POP3).
    LoginRefusal(
        who="Courier, Exchange",
        words=("Login failed.", "AUTHENTICATE failed.", "unknown user name or bad password"),
        protocols=_READING,
        says="name or password is wrong, or the mailbox may not be read so",
        advice=f"{_NAME} If the mailbox is at Microsoft 365: {_MICROSOFT}",
    ),
)
