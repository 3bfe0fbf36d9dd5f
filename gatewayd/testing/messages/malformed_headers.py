r"""Malformed header lines for ``malformed_messages``, one a line, with the escapes of ``malformed_lines``."""

from __future__ import annotations

__all__ = ["HEADERS"]

#: Header lines that stand between an honest head and body, by family.
HEADERS = {
    "word": r"""
Subject: =?utf-8?q?split_=C3?=\r\n =?utf-8?q?=A4_756?=
Subject: =?utf-8?b?w?= =?utf-8?b?6Q==?= 756
Subject: =?utf-8?b?w6Q?= =?UTF-8?Q?=C3=A4?= =?iso-8859-1?q?=E4?=756
Subject: =?utf-8?x?abc?= 756
Subject: =?utf-8?q?open 756
Subject: =?utf-8?q??= =?utf-8?b??= =??q?x?= =?utf-8*en?q?756?=
Subject: =?utf-8?q?with space and ? mark 756?=
Subject: =?utf-8?b?!!!!?= =?utf-8?b?====?= =?utf-8?b?A?= 756
Subject: =?utf-8?q?=ZZ=4=?= =?utf-8?q?==?= 756
Subject: =?utf-16?b?//4=?= =?utf-16?b?AAA=?= =?utf-7?q?+2AA-?= 756
Subject: =?idna?q?xn--a?= =?punycode?q?a-b?= =?rot13?q?nop?= =?unicode_escape?q?=5Cud800?= 756
Subject: =?utf-8?q?line=0D=0ABcc:_hidden@x?= 756
Subject: =?utf-8?q?nul=00_and_=1B[31m?= 756
Subject: =?iso-2022-jp?b?GyRCJDM=?= =?iso-2022-jp?b?GyRCJHM=?= 756
Subject: =?big5?b?pKQ=?= =?gbk?b?1tA=?= =?euc-kr?b?x9E=?= =?shift_jis?b?k/o=?= 756
Subject: a=?utf-8?q?b?=c=?utf-8?q?d?=e 756
Subject: =?utf-8?q?a?=\t=?utf-8?q?b?=\r\n\t\r\n =?utf-8?q?c?= 756
Subject: =?utf-8?q?=F0=9F=98?=\r\n =?utf-8?q?=80_756?=
From: =?utf-8?q?a=40b=2Ec?= <word@nasty.example>
From: =?utf-8?q?=22x=22_=3Cvictim@x=3E=2C?= <word@nasty.example>
From: "=?utf-8?b?w6Q=?=" <word@nasty.example>
From: =?utf-8?q?victim@x.com_=3Cvictim@x.com=3E?=\r\n <word@nasty.example>
""",
    "address": r"""
From: "victim@x.com" <evil@nasty.example>
From: victim@x.com <evil@nasty.example>
From: <victim@x.com> <evil@nasty.example>
From: "victim@x.com <evil@nasty.example>
From: victim@x.com, evil@nasty.example
From: evil@nasty.example (victim@x.com)
From: (comment (nested (deep)) \\) evil@nasty.example
From: <evil@nasty.example
From: evil@nasty.example>
From: <<evil@nasty.example>>
From: <>
From: @
From: a@
From: @b
From: a@b@c
From: "a b"@nasty.example
From: "a\\"b" <evil@nasty.example>
From: a b c
From: MAILER-DAEMON (Mail Delivery System)
From: <@relay,@relay2:evil@nasty.example>
From: group: a@x, b@x;
From: ;;;,,,:::
From: "
From: \\
From: alice@example.org)bob@example.com
From: a@b;c@d,e@f
From: a@[192.0.2.1], b@[IPv6:::1]
From: \xe4@\xf6.example
From: xn--@xn--, J\xfcrgen <j@nasty.example>
From:\r\n Folded\r\n  Name\r\n\t<folded@nasty.example>
To: unlisted-recipients:; (no To-header on input)
To: undisclosed-recipients:;
To: To: To: a@b
To: ,
Cc: a@x,,,,b@x, , c@x
Cc: 'q@x' <q@x>, `b@x`
To: a@x\r\nTo: b@x\r\nTo: c@x
From: one@nasty.example\r\nFrom: two@nasty.example
""",
    "id": r"""
Message-ID: <[0123456789abcdef]@microsoft.example>
Message-ID: <[...]>
Message-ID: no-brackets@nasty.example
Message-ID: <>
Message-ID: <a b@c d>
Message-ID: <open@nasty.example
Message-ID:\r\n <folded-id@nasty.example>
Message-ID: <one@x> <two@x>
Message-ID: <\0@x>
Message-ID: <\xff@x>
References: <a@x><b@x>,<c@x>\r\n In-reply <d@x
In-Reply-To: Your message of "Mon, 5 Jan 2026" <r@x>
References: <a@x> <a@x> <a@x>\r\nIn-Reply-To: <a@x>
References: =?utf-8?q?<a@x>?=
""",
    "date": r"""
Date: Mon, 05 Jan 99999 10:00:00 +0000
Date: Mon, 05 Jan 0000 10:00:00 +0000
Date: Mon, 05 Jan 1 10:00:00 +0000
Date: Fri, 31 Dec 9999 23:59:59 -2359
Date: Sat, 01 Jan 0001 00:00:00 +2359
Date: Mon, 05 Jan 2026 25:61:61 +0000
Date: Mon, 31 Feb 2026 10:00:00 +0000
Date: Mon, 05 Jan 2026 10:00:00 +99999999
Date: Mon, 05 Jan 2026 10:00:00 -0000
Date: Mon, 05 Jan 2026 10:00:60 GMT
Date: Mon, 05 Jan 26 10:00 EST
Date: 2026-01-05T10:00:00Z
Date: 2026-01-05 10:00:00
Date: 05/01/2026 10:00
Date: Mo, 5 J\xe4n 2026 10:00:00 +0100
Date: now
Date:
Date: ,
Date: Mon, 05 Jan 2026
Date: Mon, 05 Jan 2026 10:00:00
Date: Mon, 05 Jan 2026 10.00.00 +0100
Date: Mon,05Jan2026 10:00:00+0100
Date: Mon, 05 Jan 2026 10:00:00 +0100 (CET) (x (y))
Date: Mon, \xb2 Jan 2026 10:00:00 +0100
Date: Mon, 05 Jan -2026 10:00:00 +0100
Date: 1767607200
Date: Mon, 05 Jan 2026 10:00:00 +0100\r\nDate: Tue, 06 Jan 2026 10:00:00 +0100
Date: Mon, 05 Jan 2026 -1:-1:-1 +0100
""",
    "type": r"""
Content-Type:
Content-Type: ;
Content-Type: text
Content-Type: text/
Content-Type: /plain
Content-Type: text/plain/x; charset=x
Content-Type: TEXT/PLAIN; CHARSET="UTF-8"
Content-Type: text/plain; charset
Content-Type: text/plain; charset=
Content-Type: text/plain; charset="
Content-Type: text/plain; charset='utf-8'
Content-Type: text/plain; charset*=us-ascii'en'utf-8
Content-Type: text/plain; charset=utf-8; charset=iso-8859-1
Content-Type: text/plain charset=utf-8
Content-Type: text/plain;;; ;charset=utf-8;
Content-Type: text/plain; =utf-8; ="x"; a=b=c
Content-Type: te\0xt/pl\xe4in
Content-Type: text/plain\r\nContent-Type: application/pdf
Content-Type: multipart/mixed
Content-Type: multipart/mixed; boundary=
Content-Type: multipart/mixed; boundary=""
Content-Type: multipart/mixed; boundary="never there"
Content-Type: multipart/\xff; boundary=x
Content-Type: multipart/; boundary=x
Content-Type: message/rfc822
Content-Type: message/external-body; access-type=URL; URL="file:///etc/passwd"
Content-Type: message/partial; id=x; number=1; total=9999999999999999999999
Content-Type: application/octet-stream
Content-Type: (comment) text/plain (another)
Content-Transfer-Encoding: base64
Content-Transfer-Encoding: quoted-printable
Content-Transfer-Encoding: x-uuencode
Content-Transfer-Encoding: x-yenc
Content-Transfer-Encoding: 8-bit
Content-Transfer-Encoding: base64, gzip
Content-Transfer-Encoding:
Content-Transfer-Encoding: \0\xff
Content-Length: -1\r\nStatus: RO\r\nX-Status: D
MIME-Version: 99.9 (beta)\r\nMIME-Version: 1.0
""",
    "name": r"""
Content-Disposition: attachment
Content-Disposition: attachment; filename=""
Content-Disposition: attachment; filename="../../../etc/passwd"
Content-Disposition: attachment; filename="C:\\\\windows\\\\x.exe"
Content-Disposition: attachment; filename=".."
Content-Disposition: attachment; filename="a\0b.pdf"
Content-Disposition: attachment; filename="\xe4\xf6.pdf"
Content-Disposition: attachment; filename="=?utf-8?q?=C3=A4?=.pdf"
Content-Disposition: attachment; filename*=utf-8''%C3%A4.pdf
Content-Disposition: attachment; filename*=utf-8'%C3%A4.pdf
Content-Disposition: attachment; filename*=%C3%A4.pdf
Content-Disposition: attachment; filename*=''%ZZ%.pdf
Content-Disposition: attachment; filename*=nocharset''%FF%00.pdf
Content-Disposition: attachment; filename*0="a"; filename*1="b"; filename*3="gap"
Content-Disposition: attachment; filename*1="b"; filename*0="a"
Content-Disposition: attachment; filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=.pdf
Content-Disposition: attachment; filename*00=x; filename*-1=y; filename*9999999999=z
Content-Disposition: attachment; filename*0*=utf-8''a; filename=plain.pdf
Content-Disposition: attachment; filename=with space.pdf; size=1
Content-Disposition: attachment; filename="open.pdf
Content-Disposition: attachment; filename="\xe2\x80\xaefdp.exe"
Content-Disposition: attachment; filename="a\r\n b.pdf"
Content-Disposition: ATTACHMENT; FILENAME=UP.PDF
Content-Disposition: ; filename=x.pdf
Content-Disposition: inline; filename=x.txt
Content-Disposition: form-data; name="f"; filename="f.bin"
Content-Type: application/pdf; name*=utf-16''%FF%FE%3D%D8
Content-Type: application/pdf; name="=?utf-8?b?w6Q=?= =?utf-8?b?w6Q=?="
""",
}
