"""Bounces as the mail systems of the field write them, one of our own making in each form; and what looks like one and is none.

``OURS`` stands for the Message-ID of a mail of ours, ``BARE`` for it without its brackets, ``SES`` for the
name that a server gave it. The forms are those of public documentation and source code (qmail's QSBMF, RFC 3464,
Exim's and Postfix' bounce templates, and how others read them).
"""

from __future__ import annotations

from textwrap import dedent
from typing import NamedTuple

__all__ = ["FORMS", "NONE", "Form"]


class Form(NamedTuple):
    """A bounce in one form."""

    text: str
    #: Whom it names; empty where it names nobody.
    address: str = "duty@nord.example"
    #: On what it rests.
    evidence: str = "text"


_HEAD = """Return-Path: <out@acme.example>
Received: from smtp.acme.example (192.0.2.1) by mx.nord.example; Mon, 2 Nov 2026 10:00:00 +0100
From: Acme <out@acme.example>
To: duty@nord.example
Subject: Rome
Message-ID: OURS
Date: Mon, 2 Nov 2026 09:59:00 +0100"""


def _plain(sender: str, subject: str, body: str, *, head: str = "") -> str:
    more = f"{head}\n" if head else ""
    text = dedent(body).strip("\n").replace("HEAD", _HEAD)
    return f"{more}From: {sender}\nTo: out@acme.example\nSubject: {subject}\nMessage-ID: <1@mx.nord.example>\n\n{text}\n"


def _parts(
    sender: str, subject: str, *parts: tuple[str, str], kind: str = "multipart/report; report-type=delivery-status", head: str = ""
) -> str:
    more = f"{head}\n" if head else ""
    inside = "".join(
        f"--b\nContent-Type: {type_}\n\n{dedent(text).strip(chr(10)).replace('HEAD', _HEAD)}\n\n" for type_, text in parts
    )
    return (
        f"{more}From: {sender}\nTo: out@acme.example\nSubject: {subject}\nMessage-ID: <1@mx.nord.example>\nMIME-Version: 1.0\n"
        f'Content-Type: {kind}; boundary="b"\n\n{inside}--b--\n'
    )


_DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.nord.example>"
_STATUS = "Reporting-MTA: dns; mx.nord.example\n\nFinal-Recipient: rfc822; duty@nord.example\nAction: failed\nStatus: 5.1.1"
_MAIL = ("message/rfc822", "HEAD\n\nHello")
_TEXT = ("text/plain", "Your mail could not be delivered.")

#: By the name of who writes it.
FORMS: dict[str, Form] = {
    # --- letters ----------------------------------------------------------------------------------------------------------
    "Exim": Form(
        _plain(
            "Mail Delivery System <Mailer-Daemon@mx.nord.example>",
            "Mail delivery failed: returning message to sender",
            """
            This message was created automatically by mail delivery software.

            A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.
            The following address(es) failed:

              duty@nord.example
                SMTP error from remote mail server after RCPT TO:<duty@nord.example>:
                host mail.nord.example [192.0.2.7]: 550 5.1.1 No such person

            ------ This is a copy of the message, including all the headers. ------

            HEAD

            Hello
            """,
            head="Return-path: <>\nX-Failed-Recipients: duty@nord.example\nAuto-Submitted: auto-replied",
        )
    ),
    "Exim without our mail": Form(
        _plain(
            "Mail Delivery System <Mailer-Daemon@mx.nord.example>",
            "Mail delivery failed: returning message to sender",
            "The following address(es) failed:\n\n  duty@nord.example\n    retry timeout exceeded",
            head="X-Failed-Recipients: duty@nord.example\nReferences: OURS",
        )
    ),
    "qmail": Form(
        _plain(
            "MAILER-DAEMON@mx.nord.example",
            "failure notice",
            """
            Hi. This is the qmail-send program at mx.nord.example.
            I'm afraid I wasn't able to deliver your message to the following addresses.
            This is a permanent error; I've given up. Sorry it didn't work out.

            <duty@nord.example>:
            Sorry, no mailbox here by that name. (#5.1.1)

            --- Below this line is a copy of the message.

            HEAD

            Hello
            """,
            head="Return-Path: <>",
        )
    ),
    "qmail, in the queue too long": Form(
        _plain(
            "MAILER-DAEMON@mx.nord.example",
            "failure notice",
            """
            Hi. This is the qmail-send program at mx.nord.example.

            <duty@nord.example>:
            CNAME_lookup_failed_temporarily. (#4.4.3)
            I'm not going to try again; this message has been in the queue too long.

            --- Below this line is a copy of the message.

            HEAD
            """,
        )
    ),
    "qmail, after a server that put it off": Form(
        _plain(
            "MAILER-DAEMON@mx.nord.example",
            "failure notice",
            """
            <duty@nord.example>:
            Connected to 192.0.2.7 but sender was rejected.
            Remote host said: 421 4.7.0 Messages temporarily deferred
            I'm not going to try again; this message has been in the queue too long.

            --- Below this line is a copy of the message.

            HEAD
            """,
        )
    ),
    "DragonFly (dma)": Form(
        _plain(
            "MAILER-DAEMON <>",
            "Mail delivery failed",
            """
            This is the DragonFly Mail Agent v0.13 at mx.nord.example.

            There was an error delivering your mail to <duty@nord.example>.

            mail.nord.example [192.0.2.7] did not like our RCPT TO:
            550 5.1.1 No such user

            Message headers follow.

            HEAD
            """,
            head="Return-Path: <>\nX-Original-To: <out@acme.example>",
        )
    ),
    "Gmail's old letter": Form(
        _plain(
            "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
            "Delivery Status Notification (Failure)",
            """
            Delivery to the following recipient failed permanently:

                 duty@nord.example

            Technical details of permanent failure:
            The recipient server did not accept it: 550 550 unknown user (state 14).

            ----- Original message -----

            HEAD
            """,
            head="Return-Path: <>\nX-Failed-Recipients: duty@nord.example",
        )
    ),
    "Google Groups": Form(
        _plain(
            "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
            "Delivery Status Notification (Failure)",
            """
            Hello out@acme.example,

            We're writing to let you know that the group you tried to contact (duty) may not exist, or you may not have permission to
            post messages to the group.

            ----- Original message -----

            X-Google-Smtp-Source: x
            HEAD
            """,
            head="Return-Path: <>\nX-Failed-Recipients: duty@nord.example",
        )
    ),
    "Yahoo": Form(
        _plain(
            "MAILER-DAEMON@yahoo.example",
            "Failure Notice",
            """
            Sorry, we were unable to deliver your message to the following address.

            <duty@nord.example>:
            No mx record found for domain=nord.example

            --- Below this line is a copy of the message.

            HEAD
            """,
        )
    ),
    "mail.ru": Form(
        _plain(
            "mailer-daemon@corp.mail.example",
            "Mail failure.",
            """
            This message was created automatically by mail delivery software.

            A message that you sent could not be delivered to one or more of its
            recipients. This is a permanent error. The following address(es) failed:

             duty@nord.example:
                mailbox is full

            **********************************************
            Received: from x by y
            HEAD
            """,
            head="Return-Path: <>\nX-Failed-Recipients: duty@nord.example",
        )
    ),
    "Postfix, plain": Form(
        _plain(
            _DAEMON,
            "Undelivered Mail Returned to Sender",
            """
            This is the mail system at host mx.nord.example.

            I'm sorry to have to inform you that your message could not
            be delivered to one or more recipients. It's attached below.

            <duty@nord.example>: host mail.nord.example[192.0.2.7] said: 550 5.1.1 User unknown

            HEAD
            """,
            head="Return-Path: <MAILER-DAEMON>",
        )
    ),
    "sendmail 5": Form(
        _plain(
            "MAILER-DAEMON@mx.nord.example (Mail Delivery Subsystem)",
            "Returned mail: User unknown",
            """
               ----- Transcript of session follows -----
            While talking to mail.nord.example:
            >>> RCPT To:<duty@nord.example>
            <<< 550 <duty@nord.example>... User unknown

               ----- Unsent message follows -----
            HEAD
            """,
            head="Return-Path: <MAILER-DAEMON@mx.nord.example>",
        )
    ),
    "Exchange 5.5": Form(
        _plain(
            "System Administrator <postmaster@nord.example>",
            "Undeliverable: Rome",
            """
            Your message

              To:      duty@nord.example
              Subject: Rome
              Sent:    Mon, 2 Nov 2026 09:59:00 +0100

            did not reach the following recipient(s):

            duty@nord.example on Mon, 2 Nov 2026 10:00:00 +0100
                The recipient name is not recognized

            HEAD
            """,
        )
    ),
    "Office 365, in German": Form(
        _plain(
            "Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@nord.example>",
            "Unzustellbar: Rome",
            "Fehler bei der Zustellung an folgende Empfaenger:\n\nduty@nord.example\n\nUrsprüngliche Kopfzeilen:\n\nHEAD",
            head="X-MS-Exchange-Message-Is-Ndr:\nAuto-Submitted: auto-replied",
        )
    ),
    "Notes": Form(
        _plain(
            "Notes Gateway <E-mail_Gateway@nord.example>",
            "Undeliverable message",
            """
            ------- Failure Reasons  --------

            User duty (duty@nord.example) not listed in public Name & Address Book

            ------- Returned Message --------
            HEAD
            """,
        )
    ),
    "GroupWise": Form(
        _plain(
            "Mailer-Daemon@nord.example",
            "Message status - undeliverable",
            "The message that you sent was undeliverable to the following:\n\tduty@nord.example (user not found)\n\nHEAD",
        )
    ),
    "MailMarshal": Form(
        _plain(
            "Postmaster@nord.example",
            'Undeliverable Mail: "Rome"',
            """
            Your message:
               From:    out@acme.example
               Subject: Rome

            Could not be delivered because of

               550 5.1.1 User unknown

            The following recipients were affected:
               duty@nord.example

            Additional Information
            HEAD
            """,
        )
    ),
    "Zoho": Form(
        _plain(
            "mailer-daemon@mail.zoho.example",
            "Undelivered Mail Returned to Sender",
            "This message was created automatically by mail delivery software.\nA message that you sent could not be delivered.\n\n"
            "duty@nord.example Invalid Address, ERROR_CODE :550, ERROR_CODE :5.1.1\n\nHEAD",
        )
    ),
    "X6": Form(
        _plain(
            "Mail Delivery System <MAILER-DAEMON@mx.nord.example>",
            "There was an error sending your mail",
            """
            We had trouble delivering your message.

            The message has not been delivered to the following 1 recipient(s):

            duty@nord.example
            SMTP Server <mail.nord.example> rejected recipient <duty@nord.example>
              (Error following RCPT command). It responded as follows: [550 5.1.1 User unknown]

            HEAD
            """,
        )
    ),
    "IMail": Form(
        _plain(
            "Postmaster <postmaster@nord.example>",
            "Undeliverable Mail",
            "Unknown user: duty@nord.example\n\nRCPT TO generated following response:\n550 unknown user\n\nOriginal message follows.\n\nHEAD",
            head="X-Mailer: <SMTP32 v8.22>",
        )
    ),
    "MDaemon": Form(
        _plain(
            "MDaemon@nord.example",
            "Warning: duty@nord.example - User unknown!",
            "duty@nord.example - no such user here.\n\nThere is no user by that name at this server.\n\nHEAD",
            head="Precedence: bulk",
        )
    ),
    "Courier": Form(
        _plain(
            '"Courier mail server at mx.nord.example" <@>',
            "NOTICE: mail delivery status.",
            """
            This is a delivery status notification from mx.nord.example,
            running the Courier mail server, version 0.65.2.

            UNDELIVERABLE MAIL

            Your message to the following recipients cannot be delivered:

            <duty@nord.example>:
                >>> RCPT TO:<duty@nord.example>
                <<< 550 No such user

            HEAD
            """,
        )
    ),
    "Apache James": Form(
        _plain(
            "postmaster@nord.example",
            "[BOUNCE]",
            "Hi. This is the James mail server at mx.nord.example.\nI'm afraid I wasn't able to deliver your message to the following "
            "addresses.\n\nduty@nord.example\n\nThe original message is below:\n\nHEAD",
        )
    ),
    "SurfControl": Form(
        _plain(
            "Mail Administrator <postmaster@nord.example>",
            "Returned mail",
            "Your message could not be sent.\nA transcript of the attempts to send the message follows.\n\nAddressed To: duty@nord.example\n"
            "550 no such user\n\nHEAD",
            head="X-Mailer: SurfControl E-mail Filter",
        )
    ),
    "InterScan": Form(
        _plain(
            "imss@nord.example",
            "Mail could not be delivered",
            "Sent <<< RCPT TO:<duty@nord.example>\nReceived >>> 550 5.1.1 unknown user.\n\nHEAD",
            head="Return-Path: <>",
        )
    ),
    "Facebook": Form(
        _plain(
            "Social <mailer-daemon@mx.social.example>",
            "Sorry, your message could not be delivered",
            "This message was created automatically.\n\nSorry, your message to duty@nord.example could not be delivered.\n\nHEAD",
        )
    ),
    "KDDI, in Japanese": Form(
        _plain(
            "no-reply@mobile.example",
            "Mail System Error - Returned Mail",
            "あなたの送信したメールは届きませんでした。\n\n<duty@nord.example>\n\nHEAD",
        )
    ),
    "in French, without accents": Form(
        _plain(_DAEMON, "Message", "Votre message n'a pas pu etre delivre a\n\nduty@nord.example\n\nHEAD")
    ),
    "in Russian": Form(_plain(_DAEMON, "Недоставленное сообщение", "Письмо не может быть доставлено: duty@nord.example\n\nHEAD")),
    "without any address": Form(_plain(_DAEMON, "Returned mail", "It could not be delivered: no such user.\n\nHEAD"), address=""),
    "without a From": Form(
        _plain(
            "<>", "", "You sent mail to duty@nord.example. That's not a valid user here.", head="Return-Path: <>\nIn-Reply-To: OURS"
        )
    ),
    "quoted": Form(
        _plain(
            "postmaster@nord.example",
            "Mail Delivery Failure",
            "Delivery of email to duty@nord.example has failed due to a full mailbox.\nWe have made numerous attempts to deliver it.\n\n"
            "> Received: from x\n> Message-Id: OURS\n> Subject: Rome",
        )
    ),
    "a letter about a renamed mail": Form(
        _plain(
            _DAEMON,
            "Undelivered Mail Returned to Sender",
            "<duty@nord.example>: 550 5.1.1 unknown\n\nReturn-Path: <out@acme.example>\nMessage-ID: <SES@eu-west-1.amazonses.com>",
        )
    ),
    "Exim, in German": Form(
        _plain(
            "Mail Delivery System <Mailer-Daemon@mx.nord.example>",
            "Zustellung fehlgeschlagen",
            "Eine von Ihnen gesendete Nachricht konnte nicht ausgeliefert werden:\n\n  duty@nord.example\n\nHEAD",
        )
    ),
    "Domino's letter, in German": Form(
        _parts(
            "Mail Router <nobody@nord.example>",
            "ZUSTELLUNGSFEHLER: Benutzer nicht im Domino-Verzeichnis",
            ("text/plain", "Ihr Dokument:\n  Rome\nkonnte nicht zugestellt werden an:\n  duty@nord.example"),
            _MAIL,
            kind="multipart/mixed",
        )
    ),
    "in Polish": Form(_plain(_DAEMON, "Zwrot", "Wiadomość nie mogła zostać doręczona do:\n\nduty@nord.example\n\nHEAD")),
    "in Greek": Form(_plain(_DAEMON, "Αναφορά", "Δεν παραδόθηκε στους παραλήπτες:\n\nduty@nord.example\n\nHEAD")),
    "in Korean": Form(_plain(_DAEMON, "알림", "다음 수신자에게 메일을 전송하지 못했습니다.\n\n<duty@nord.example>\n\nHEAD")),
    "PMDF, which says first what mail it is about": Form(
        _plain(
            "PMDF e-Mail Interconnect <postmaster@nord.example>",
            "Delivery Notification: Delivery has failed",
            """
            This report relates to a message you sent with the following header fields:

              Message-id: OURS
              From: Acme <acme@acme.example>
              To: otto@west.example, duty@nord.example

            Your message cannot be delivered to the following recipients:

              Recipient address: duty@nord.example
              Reason: Illegal host/domain name found

            Please contact postmaster@nord.example for help.
            """,
        )
    ),
    "by a program that answers": Form(
        _plain(
            "post_master@nord.example",
            "Re: Rome",
            "Error: Invalid user address\n550 - no such user here\n  RCPT TO: duty@nord.example",
            head="In-Reply-To: OURS",
        )
    ),
    "with an apostrophe": Form(_plain(_DAEMON, "Returned mail", "Unknown user: 'duty@nord.example'\n\nHEAD")),
    "a page": Form(
        _plain(
            "MAILER-DAEMON@nord.example",
            "Undeliverable: Rome",
            "<p>Your message to duty@nord.example could not be delivered.</p><pre>Message-ID: &lt;BARE&gt;</pre>",
            head="Content-Type: text/html",
        )
    ),
    "an address with a comment": Form(
        _parts(
            _DAEMON,
            "Undelivered",
            _TEXT,
            ("message/delivery-status", _STATUS.replace("duty@nord.example", "<duty@nord.example> (Duty manager)")),
            _MAIL,
        ),
        evidence="report",
    ),
    "an address in UTF-8": Form(
        _parts(
            _DAEMON,
            "Undelivered",
            _TEXT,
            ("message/global-delivery-status", _STATUS.replace("rfc822; duty", r"utf-8; d\x{FC}ty")),
            _MAIL,
        ),
        address="d\u00fcty@nord.example",
        evidence="report",
    ),
    "an address that is none": Form(
        _parts(
            _DAEMON,
            "Undelivered",
            _TEXT,
            ("message/delivery-status", _STATUS.replace("duty@nord.example", "/var/mail/duty")),
            _MAIL,
        ),
        address="",
        evidence="report",
    ),
    # --- reports ----------------------------------------------------------------------------------------------------------
    "RFC 3464": Form(_parts(_DAEMON, "Undelivered", _TEXT, ("message/delivery-status", _STATUS), _MAIL), evidence="report"),
    "a header alone": Form(
        _parts(_DAEMON, "Undelivered", _TEXT, ("message/delivery-status", _STATUS), ("text/rfc822-headers", "HEAD")),
        evidence="report",
    ),
    "OpenSMTPD": Form(
        _parts(
            "Mailer Daemon <MAILER-DAEMON@mx.nord.example>",
            "Delivery status notification: error",
            _TEXT,
            ("message/delivery-status", _STATUS),
            _MAIL,
            kind="multipart/mixed",
        ),
        evidence="report",
    ),
    "Domino": Form(
        _parts(
            "Postmaster@nord.example",
            "DELIVERY FAILURE: User duty (duty@nord.example) not listed",
            _TEXT,
            ("message/delivery-status", _STATUS),
            _MAIL,
            kind="multipart/mixed",
        ),
        evidence="report",
    ),
    "Amazon SES": Form(
        _parts(
            "MAILER-DAEMON@eu-west-1.amazonses.example",
            "Delivery Status Notification (Failure)",
            ("text/plain", "An error occurred while trying to deliver the mail to the following recipients:\nduty@nord.example"),
            ("message/delivery-status", _STATUS),
            (
                "message/rfc822",
                "From: out@acme.example\nMessage-ID: <SES@eu-west-1.amazonses.com>\nReferences: <0@x>\n SECOND\n\nHello",
            ),
            head="Return-Path: <>\nX-SES-Outgoing: 2026.11.02-192.0.2.1",
        ),
        evidence="report",
    ),
    "SendGrid": Form(
        _parts(
            "MAILER-DAEMON",
            "Undelivered Mail Returned to Sender",
            ("text/plain", "This is an automatically generated message from the relay."),
            ("message/delivery-status", _STATUS),
            _MAIL,
            head="Return-Path: <apps@relay.example>",
        ),
        evidence="report",
    ),
    "Bigfoot": Form(
        _parts(
            _DAEMON, "Returned mail: Service unavailable", _TEXT, ("message/delivery-status", _STATUS), ("message/partial", "HEAD")
        ),
        evidence="report",
    ),
    "Original-Recipient alone": Form(
        _parts(
            _DAEMON,
            "Undelivered",
            _TEXT,
            ("message/delivery-status", "Original-Recipient: rfc822;duty@nord.example\nAction: failed\nStatus: 5.1.1"),
            _MAIL,
        ),
        evidence="report",
    ),
    "expired": Form(
        _parts(
            _DAEMON,
            "Undelivered",
            _TEXT,
            ("message/delivery-status", _STATUS.replace("failed", "expired").replace("5.1.1", "4.4.7")),
            _MAIL,
        ),
        evidence="report",
    ),
    "by In-Reply-To": Form(
        _parts(_DAEMON, "Undelivered", _TEXT, ("message/delivery-status", _STATUS), head="In-Reply-To: OURS"), evidence="report"
    ),
    "by envelope": Form(
        _parts(_DAEMON, "Undelivered", _TEXT, ("message/delivery-status", f"Original-Envelope-Id: OURS\n{_STATUS}")),
        evidence="report",
    ),
    "by the text alone": Form(
        _parts(_DAEMON, "Undelivered", ("text/plain", "It failed.\n\nMessage-ID: OURS"), ("message/delivery-status", _STATUS))
    ),
    "white space for an empty line": Form(
        _parts(_DAEMON, "Undelivered", _TEXT, ("message/delivery-status", _STATUS.replace("\n\n", "\n \t\n")), _MAIL),
        evidence="report",
    ),
    "a report without its fields": Form(
        _parts(
            _DAEMON,
            "Undelivered",
            ("text/plain", "<duty@nord.example>: 550 5.1.1 User unknown"),
            ("message/delivery-status", "Reporting-MTA: dns; x"),
            _MAIL,
        )
    ),
    "Dovecot": Form(
        _parts(
            "Mail Delivery Subsystem <postmaster@nord.example>",
            "Automatically rejected mail",
            ("text/plain", "Your message to <duty@nord.example> was automatically rejected:\nQuota exceeded"),
            (
                "message/disposition-notification",
                "Final-Recipient: rfc822; duty@nord.example\nOriginal-Message-ID: OURS\nDisposition: automatic-action/MDN-sent-automatically; deleted",
            ),
            _MAIL,
            kind="multipart/report; report-type=disposition-notification",
        )
    ),
    "a mail within a letter": Form(
        _parts(
            "postmaster@nord.example",
            "Mail could not be delivered",
            ("text/plain", "Unable to deliver message to <duty@nord.example>. 550 5.1.1 unknown user"),
            _MAIL,
            kind="multipart/mixed",
        )
    ),
}

#: What is no bounce of ours, whatever of ours stands in it.
NONE: dict[str, str] = {
    "delay": _parts(
        _DAEMON,
        "Delayed Mail",
        _TEXT,
        ("message/delivery-status", _STATUS.replace("failed", "delayed").replace("5.1.1", "4.2.2")),
        _MAIL,
    ),
    "success": _parts(
        _DAEMON,
        "Delivered",
        _TEXT,
        ("message/delivery-status", _STATUS.replace("failed", "delivered").replace("5.1.1", "2.0.0")),
        _MAIL,
    ),
    "Exim's warning": _plain(
        "Mail Delivery System <Mailer-Daemon@mx.nord.example>",
        "Warning: message 1rABCD-0001AB-CD delayed 24 hours",
        "A message that you sent has not yet been delivered to duty@nord.example.\nNo action is required on your part. Delivery attempts "
        "will continue for some time, and this warning may be repeated if the message remains undelivered.\n\nHEAD",
    ),
    "sendmail's warning": _plain(
        "MAILER-DAEMON@mx.nord.example",
        "Warning: could not send message for past 4 hours",
        "    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n"
        "    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\n\n<duty@nord.example>... Deferred: 451 4.4.1 timed out\n\nHEAD",
    ),
    "Postfix' warning": _plain(
        _DAEMON,
        "Delayed Mail (still being retried)",
        "Your message could not be delivered for more than 15 minutes.\nIt will be retried until it is 5 days old.\n\n<duty@nord.example>: 451 busy\n\nHEAD",
    ),
    "Gmail's delay": _plain(
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Delay)",
        "Delivery to the following recipient has been delayed:\n\n     duty@nord.example\n\n450 4.2.2 Mailbox full\n\nHEAD",
        head="Return-Path: <>\nX-Failed-Recipients: duty@nord.example",
    ),
    "a delay, in German": _plain(
        _DAEMON,
        "Warnung",
        "Die Nachricht an duty@nord.example konnte noch nicht zugestellt werden. Weitere Versuche folgen.\n\nHEAD",
    ),
    "a delay, in French": _plain(
        _DAEMON, "Avertissement", "Votre message n'a pas encore été remis : le message n'a pas pu être remis.\n\nHEAD"
    ),
    "a delay, in Russian": _plain(_DAEMON, "Письмо задержано", "Письмо не может быть доставлено: duty@nord.example\n\nHEAD"),
    "a delay, in Chinese": _plain(_DAEMON, "通知", "您的邮件尚未送达 duty@nord.example 系统将继续尝试投递 暂时无法送达\n\nHEAD"),
    "a delay, in Hungarian": _plain(_DAEMON, "Jelentés", "A levél még nem kézbesíthető, később újra próbáljuk.\n\nHEAD"),
    "a delay, in Turkish": _plain(_DAEMON, "Rapor", "İletiniz henüz teslim edilemedi.\n\nHEAD"),
    "a delay, in Korean": _plain(_DAEMON, "알림", "메일이 아직 전달되지 않았습니다.\n\nHEAD"),
    "a delay, in Swedish": _plain(_DAEMON, "Rapport", "Kan inte levereras ännu: ännu inte levererat.\n\nHEAD"),
    "a mail in the queue": _plain(_DAEMON, "Your mail", "It is still in the queue and has not been delivered.\n\nHEAD"),
    "a postmaster who answers": _plain(
        "Postmaster <postmaster@nord.example>",
        "Re: Rome",
        "Your mail to duty@nord.example was rejected with 550 5.7.1 yesterday. That is mended now.\n\n> Message-ID: OURS",
    ),
    "a postmaster who asks": _plain(
        "Postmaster <postmaster@nord.example>",
        "Your server has no reverse name",
        "From Monday on, mail without one will be rejected with 550 5.7.25.",
        head="References: OURS",
    ),
    "a digest of what was blocked": _plain(
        "postmaster@nord.example",
        "Spam quarantine: 1 message",
        "The following messages were not delivered to your inbox:\n\nFrom: out@acme.example  Rome  550 5.7.1",
        head="References: OURS",
    ),
    "a department called Mail System": _plain(
        "Hotel Mail System <desk@nord.example>", "Rome", "The booking was rejected by its owner.", head="In-Reply-To: OURS"
    ),
    "a person's subject": _plain(
        "Anna <anna@nord.example>",
        "Undeliverable - please help",
        "I can't write to duty@nord.example: 550 5.1.1.\n\nHEAD",
        head="Return-Path: <anna@nord.example>\nIn-Reply-To: OURS",
    ),
    "a shop's own delivery": _plain(
        "Delivery System <noreply@shop.example>",
        "Delivery of 550-12",
        "Order 550-12 could not be delivered.",
        head="In-Reply-To: OURS",
    ),
    "vacation with our mail": _parts(
        "Duty <duty@nord.example>",
        "Away",
        ("text/plain", "I am away; your mail was not delivered to my phone."),
        _MAIL,
        kind="multipart/mixed",
        head="Return-Path: <>\nAuto-Submitted: auto-replied",
    ),
    "vacation": _plain(
        "Anna <anna@nord.example>",
        "Re: Rome",
        "I am away. Mail to my old address can not be delivered any more.",
        head="Return-Path: <>\nAuto-Submitted: auto-replied\nIn-Reply-To: OURS",
    ),
    "vacation of a postmaster": _plain(
        "postmaster@nord.example",
        "Away",
        "I am away, and your mail was not delivered to anybody else.",
        head="X-Autoreply: yes\nIn-Reply-To: OURS",
    ),
    "read receipt": _parts(
        "Anna <anna@nord.example>",
        "Read: Rome",
        ("text/plain", "It was read."),
        (
            "message/disposition-notification",
            "Final-Recipient: rfc822; duty@nord.example\nOriginal-Message-ID: OURS\nDisposition: manual-action/MDN-sent-manually; displayed",
        ),
        kind="multipart/report; report-type=disposition-notification",
    ),
    "deleted unread": _parts(
        "Anna <anna@nord.example>",
        "Not read: Rome",
        ("text/plain", "Your message was not delivered to my eyes: it was deleted without being read."),
        (
            "message/disposition-notification",
            "Final-Recipient: rfc822; duty@nord.example\nOriginal-Message-ID: OURS\nDisposition: manual-action/MDN-sent-manually; deleted",
        ),
        kind="multipart/report; report-type=disposition-notification",
    ),
    "complaint": _parts(
        "postmaster@nord.example",
        "complaint about message from 192.0.2.1",
        ("text/plain", "This is a complaint. The mail was rejected by its reader."),
        ("message/feedback-report", "Feedback-Type: abuse\nUser-Agent: x/1\nOriginal-Mail-From: out@acme.example"),
        _MAIL,
        kind="multipart/report; report-type=feedback-report",
    ),
    "complaint of an old kind": _parts(
        "staff@nord.example", "complaint about message from 192.0.2.1", _MAIL, kind="multipart/mixed"
    ),
    "a person who forwards a bounce": _plain(
        "Anna <anna@nord.example>",
        "Fwd: Undelivered Mail Returned to Sender",
        "See what I got:\n\n<duty@nord.example>: 550 5.1.1 User unknown\n\nHEAD",
    ),
    "a person who attaches a bounce": _parts(
        "Anna <anna@nord.example>",
        "What is this?",
        ("text/plain", "I got this."),
        ("message/delivery-status", _STATUS),
        _MAIL,
        kind="multipart/mixed",
    ),
    "a person who answers": _plain(
        "Anna <anna@nord.example>",
        "Re: Rome",
        "Your mail to Otto was rejected, his mailbox is full: 550 5.2.2. Try duty@nord.example.",
        head="In-Reply-To: OURS",
    ),
    "a newsletter about bounces": _plain(
        "News <news@nord.example>",
        "Mail delivery failed? Ten tips",
        "User unknown, mailbox full, 550 5.1.1: what they mean.",
        head="List-Id: <news.nord.example>\nPrecedence: bulk\nReferences: OURS",
    ),
    "an answer of ours in another program": _parts(
        _DAEMON,
        "Undelivered",
        _TEXT,
        ("message/delivery-status", _STATUS),
        (
            "message/rfc822",
            "From: out@acme.example\nMessage-ID: <other@acme.example>\nIn-Reply-To: <2@x>\nReferences: OURS SECOND <2@x>",
        ),
    ),
    "a letter about an answer": _plain(
        _DAEMON,
        "Returned mail",
        "<duty@nord.example>: 550 5.1.1 User unknown\n\nMessage-ID: <other@acme.example>\nReferences: OURS SECOND <2@x>\nSubject: Rome",
    ),
    "a challenge": _plain(
        "exampleuser@nord.example",
        "RE: Rome",
        "This account is protected. Please click on the link to ensure delivery of your mail.",
        head="In-Reply-To: OURS",
    ),
    "a postmaster who writes": _plain(
        "postmaster@nord.example", "Your question", "The server is up again.", head="In-Reply-To: OURS"
    ),
    "a booking system's error": _plain(
        "noreply@booking.example",
        "Booking 550 failed",
        "Booking 550 could not be completed.",
        head="References: OURS\nAuto-Submitted: auto-generated",
    ),
}
