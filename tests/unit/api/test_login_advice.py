"""Advice on a refused log-in, for the answers of real servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import login_advice
from gatewayd.api.login_refusals import LOGIN_REFUSALS, LoginRefusal, MailProtocol

USER = "irina@acme.example"
GMAIL, OUTLOOK, OWN = "imap.gmail.com", "outlook.office365.com", "mail.acme.example"

#: Whose, by which protocol, at which host, the answer as a server was seen to give it, and what the advice says.
ANSWERS: list[tuple[str, MailProtocol, str, bytes, str]] = [
    (
        "Gmail",
        "IMAP",
        GMAIL,
        b"[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
        "myaccount.google.com/apppasswords",
    ),
    (
        "Gmail",
        "POP3",
        "pop.gmail.com",
        b"-ERR [AUTH] Application-specific password required: http://support.google.com/accounts/bin/answer.py?answer=185833",
        "myaccount.google.com/apppasswords",
    ),
    (
        "Gmail",
        "SMTP",
        "smtp.gmail.com",
        b"5.7.9 Application-specific password required. For more information, go to\n5.7.9  https://support.google.com/mail/",
        "myaccount.google.com/apppasswords",
    ),
    (
        "Gmail",
        "IMAP",
        GMAIL,
        b"[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)",
        "confirm at https://myaccount.google.com/security",
    ),
    ("Gmail", "IMAP", GMAIL, b"[WEBALERT https://accounts.google.com/signin/continue?sarp=1] Web login required.", "confirm at"),
    (
        "Gmail",
        "SMTP",
        "smtp.gmail.com",
        b"5.7.9 Please log in with your web browser and then try again. Learn more at",
        "confirm at",
    ),
    (
        "Gmail",
        "IMAP",
        GMAIL,
        b"[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP",
        "Enable IMAP.",
    ),
    (
        "Gmail",
        "IMAP",
        GMAIL,
        b"[ALERT] IMAP access is disabled for your domain. Please contact your domain administrator. (Failure)",
        "admin.google.com",
    ),
    (
        "Gmail",
        "POP3",
        "pop.gmail.com",
        b"-ERR [SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page",
        "Enable POP for all mail",
    ),
    ("Gmail", "POP3", "pop.gmail.com", b"-ERR [AUTH] Username and password not accepted.", "apppasswords"),
    (
        "Gmail",
        "SMTP",
        "smtp.gmail.com",
        b"5.7.8 Username and Password not accepted. Learn more at",
        "docs/modern-authentication.md",
    ),
    ("Gmail", "IMAP", "IMAP.googlemail.com.", b"[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "apppasswords"),
    (
        "Microsoft",
        "SMTP",
        "smtp.office365.com",
        b"5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_",
        f"`Set-CASMailbox -Identity {USER} -SmtpClientAuthenticationDisabled $false`",
    ),
    ("Microsoft", "IMAP", OUTLOOK, b"Basic authentication is disabled.", "`credential` of kind `office365`"),
    (
        "Microsoft",
        "SMTP",
        OWN,
        b"5.7.139 Authentication unsuccessful, basic authentication is disabled. [PN0P]",
        "kind `office365`",
    ),
    (
        "Microsoft",
        "SMTP",
        "smtp.office365.com",
        b"5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your",
        "kind `office365`",
    ),
    (
        "Microsoft",
        "SMTP",
        "smtp.office365.com",
        b"5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.",
        "kind `office365`",
    ),
    ("Microsoft", "IMAP", OUTLOOK, b"User is authenticated but not connected.", "Manage email apps"),
    ("Microsoft", "IMAP", OUTLOOK, b"LOGIN failed.", "kind `office365`"),
    ("Microsoft", "IMAP", OUTLOOK, b"AUTHENTICATE failed.", "kind `office365`"),
    ("Microsoft", "POP3", OUTLOOK, b"-ERR Logon failure: unknown user name or bad password.", "kind `office365`"),
    ("Microsoft", "SMTP", "smtp-mail.outlook.com", b"5.7.3 Authentication unsuccessful [BN3PR03CA0067.prod]", "kind `office365`"),
    ("Yahoo", "IMAP", "imap.mail.yahoo.com", b"[AUTHENTICATIONFAILED] LOGIN Invalid credentials", "login.yahoo.com"),
    ("Yahoo", "IMAP", OWN, b"[AUTHORIZATIONFAILED] Incorrect username or password. (#MBR1212)", "login.yahoo.com"),
    ("Yahoo", "IMAP", OWN, b"[AUTHENTICATIONFAILED] (#AUTH012) Incorrect username or password.", "login.yahoo.com"),
    ("Yahoo", "SMTP", "smtp.mail.yahoo.com", b"5.7.0 (#AUTH005) Too many bad auth attempts.", "login.yahoo.com"),
    ("iCloud", "IMAP", "imap.mail.me.com", b"[AUTHENTICATIONFAILED] Authentication Failed", "account.apple.com"),
    ("GMX, WEB.DE", "IMAP", "imap.web.de", b"authentication failed", "POP3/IMAP Abruf"),
    ("GMX, WEB.DE", "POP3", "pop.gmx.net", b"-ERR authentication failed", "POP3/IMAP Abruf"),
    ("GMX, WEB.DE", "SMTP", "smtp.gmx.com", b"Authentication credentials invalid", "POP3/IMAP Abruf"),
    (
        "Zoho",
        "IMAP",
        "imappro.zoho.com",
        b"[ALERT] You are yet to enable IMAP for your account. Please contact your administrator (Failure)",
        "IMAP Access",
    ),
    ("Zoho", "IMAP", "imap.zoho.eu", b"[AUTHENTICATIONFAILED] Invalid credentials(Failure)", "accounts.zoho.com"),
    ("Zoho", "SMTP", "smtp.zoho.com", b"Authentication Failed", "accounts.zoho.com"),
    ("Fastmail", "IMAP", "imap.fastmail.com", b"Incorrect username or password.", "app.fastmail.com"),
    (
        "Dovecot",
        "IMAP",
        OWN,
        b"[PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
        "`security: tls`",
    ),
    ("Dovecot", "POP3", OWN, b"-ERR [AUTH] Cleartext authentication disallowed on non-secure (SSL/TLS) connections.", "`starttls`"),
    ("Dovecot", "IMAP", OWN, b"[AUTHENTICATIONFAILED] Authentication failed.", "the whole address"),
    ("Dovecot", "POP3", OWN, b"-ERR [AUTH] Authentication failed.", "the whole address"),
    ("Cyrus", "IMAP", OWN, b"Login only available under a layer", "`security: tls`"),
    ("Cyrus", "POP3", OWN, b"-ERR [AUTH] USER command only available under a layer", "`starttls`"),
    ("Cyrus", "IMAP", OWN, b"Login failed: authentication failure", "the part before the @"),
    ("Cyrus", "POP3", OWN, b"-ERR [AUTH] Invalid login", "the part before the @"),
    ("Courier", "IMAP", OWN, b"IMAP access disabled for this account.", "`disableimap`"),
    ("Courier", "POP3", OWN, b"-ERR POP3 access disabled via insecure connection.", "`disablepop3`"),
    ("Courier, Exchange", "IMAP", OWN, b"Login failed.", "If the mailbox is at Microsoft 365"),
    ("Courier, Exchange", "POP3", OWN, b"-ERR Login failed.", "If the mailbox is at Microsoft 365"),
    ("Courier, Exchange", "IMAP", OWN, b"AUTHENTICATE failed.", "If the mailbox is at Microsoft 365"),
    ("Courier, Exchange", "POP3", OWN, b"-ERR Logon failure: unknown user name or bad password.", "at Microsoft 365"),
]


def chosen(protocol: MailProtocol, host: str, answer: bytes) -> LoginRefusal:
    """The entry whose advice an answer gets."""
    advice = login_advice(protocol, host, answer, username="MAILBOX")
    return next(one for one in LOGIN_REFUSALS if one.advice == advice and any(has(answer, word) for word in one.words))


def has(answer: bytes, word: str) -> bool:
    return word.lower() in answer.decode("latin-1").lower()


@pytest.mark.parametrize(("who", "protocol", "host", "answer", "advice"), ANSWERS)
def test_an_answer_has_the_advice_for_it(who: str, protocol: MailProtocol, host: str, answer: bytes, advice: str) -> None:
    assert advice in login_advice(protocol, host, answer, username=USER)
    assert chosen(protocol, host, answer).who == who


def test_all_words_of_the_table_are_in_an_answer_that_chooses_them() -> None:
    met = {(chosen(*row[1:4]), word) for row in ANSWERS for word in chosen(*row[1:4]).words if has(row[3], word)}
    assert met == {(one, word) for one in LOGIN_REFUSALS for word in one.words}


@pytest.mark.parametrize(
    ("protocol", "host", "answer"),
    [
        ("IMAP", GMAIL, b"[UNAVAILABLE] Temporary System Problem. Please try again later. (Failure)"),
        ("IMAP", OWN, b"[AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
        ("IMAP", "imap.gmail.com.acme.example", b"[AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
        ("IMAP", "notgmail.com", b"[AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
        ("SMTP", OWN, b"5.7.3 Authentication unsuccessful"),
        ("POP3", OWN, b"-ERR"),
        ("SMTP", OWN, b""),
    ],
)
def test_an_answer_that_says_no_more_than_no_has_none(protocol: MailProtocol, host: str, answer: bytes) -> None:
    assert login_advice(protocol, host, answer, username=USER) == ""


def test_a_refused_token_has_only_the_advice_that_does_not_depend_on_what_was_refused() -> None:
    refused = {row[1:4] for row in ANSWERS if login_advice(*row[1:4], username=USER, token=True)}
    assert {(protocol, host) for protocol, host, _ in refused} == {
        ("IMAP", GMAIL),
        ("IMAP", "imappro.zoho.com"),
        ("POP3", "pop.gmail.com"),
        ("SMTP", "smtp.office365.com"),
    }
    assert not login_advice("IMAP", OUTLOOK, b"AUTHENTICATE failed.", username=USER, token=True)


def test_words_are_found_across_lines_and_not_beyond_what_is_looked_through() -> None:
    folded = b"5.7.14 Please log in\n via your  web\r\n browser and\n5.7.14 then try again."
    assert "confirm at" in login_advice("SMTP", "smtp.gmail.com", folded, username=USER)
    assert login_advice("IMAP", OWN, b"x" * 9000 + b"Login failed.", username=USER) == ""


@given(
    answer=st.binary(max_size=300),
    host=st.text(max_size=30),
    protocol=st.sampled_from(["IMAP", "POP3", "SMTP"]),
    token=st.booleans(),
)
def test_whatever_a_server_says_gives_advice_of_the_table_or_none(
    answer: bytes, host: str, protocol: MailProtocol, *, token: bool
) -> None:
    advice = login_advice(protocol, host, answer, username="MAILBOX", token=token)
    assert advice == "" or advice in {one.advice for one in LOGIN_REFUSALS}
