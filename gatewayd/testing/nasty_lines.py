r"""Hand-made malformed messages, one a line, as data for ``nasties``: ``\r\n``, ``\xNN`` and the like stand for those bytes."""

from __future__ import annotations

__all__ = ["BARE", "BODIES", "CHARSETS", "HEADERS", "lines"]


def lines(table: str) -> list[bytes]:
    """Return the lines of a table as the bytes that they stand for."""
    return [line.encode("latin-1").decode("unicode_escape").encode("latin-1") for line in table.splitlines() if line]


#: Whole messages, with nothing added.
BARE = r"""
\r\n
\n
\r
\0
x
:
: x\r\n\r\n
\r\n\r\n
\x20\r\n
\xff\xfe
\xef\xbb\xbfSubject: bom 756\r\n\r\nx
no headers at all, only a line about 756
two lines\r\nwithout headers\r\n\r\nand a body\r\n
Subject: only a header 756
Subject: headers only 756\r\nFrom: a@nasty.example\r\n
\r\nSubject: empty line first 756\r\n\r\nbody\r\n
\x20folded first line\r\nSubject: 756\r\n\r\nbody\r\n
From eve@nasty.example Mon Jan  5 10:00:00 2026\r\nSubject: mbox 756\r\n\r\nbody\r\n
>From eve@nasty.example Mon Jan  5 10:00:00 2026\nSubject: mbox again 756\n\nFrom the body\n>From the body\n
Subject: colon line 756\r\nbroken header line\r\nFrom: a@nasty.example\r\n\r\nbody\r\n
Subject\r\n: split 756\r\n\r\nbody\r\n
subject : space before colon 756\r\nfrom\t: b@nasty.example\r\n\r\nbody\r\n
Subject: nul \0 in \0 header 756\r\nFrom: \0 <nul\0@nasty.example>\r\n\r\nnul \0 body\r\n
Subject: \xed\xa0\x80 surrogate 756 \xed\xbf\xbf\r\n\r\n\xed\xa0\x80\xed\xb0\x80\r\n
Subj\xe9ct: 8-bit name 756\r\n\r\nbody\r\n
Subject: 8-bit \xfc\xdf 756\r\nFrom: J\xfcrgen <j\xfc@nasty.example>\r\nTo: \xd0\x9f\xd1\x80 <p@x>\r\n\r\nGr\xfc\xdfe\r\n
Subject: esc \x1b[31m 756 \x07\x08\r\nX: a\x0bb\x0cc\x1c\x85\r\n\r\n\x1b]0;title\x07\r\n
Subject: a\rBcc: hidden@x\r\n\r\nlone CR 756\r\n
Subject:\r\n\r\n756\r\n
Subject:\r\n \r\n\t\r\n 756 after empty folds\r\n\r\nbody\r\n
Subject: dots 756\r\n\r\n.\r\n..\r\n.x\r\n
Content-Type: multipart/mixed; boundary=x\r\n\r\n--x
Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--
=ybegin line=128 size=6 name=756.bin\r\n\x93\x94\x95\xfa\r\n=yend size=6\r\n
Subject: yenc 756\r\n\r\n=ybegin line=128 size=9 name=a.bin\r\n\x9b\x9c=}\x9e\xff\0\r\n=yend size=9 crc32=deadbeef\r\n
begin 644 nohead.bin\r\n#0V%T\r\n`\r\nend\r\n
Message-ID: <same@nasty.example>\r\n\r\nfirst\r\n
Message-ID: <same@nasty.example>\r\n\r\nsecond\r\n
"""

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

#: A head's last lines with the body behind them.
BODIES = r"""
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nno end 756
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n\r\nend first 756
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b--\r\n756
Content-Type: multipart/mixed; boundary=b\r\n\r\n --b\r\n\r\nnot at a line start 756\r\n--b x\r\n--b-\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b   \t \r\n\r\npadded 756\r\n--b-- \t\r\n
Content-Type: multipart/mixed; boundary="b "\r\n\r\n--b \r\n\r\nspace at its end 756\r\n--b --\r\n
Content-Type: multipart/mixed; boundary="b\\"c"\r\n\r\n--b"c\r\n\r\nquoted 756\r\n--b"c--\r\n
Content-Type: multipart/mixed; boundary*=us-ascii''b\r\n\r\n--b\r\n\r\nRFC 2231 756\r\n--b--\r\n
Content-Type: multipart/mixed; boundary*0=b; boundary*1=c\r\n\r\n--bc\r\n\r\nsections 756\r\n--bc--\r\n
Content-Type: multipart/mixed; boundary="\xe4"\r\n\r\n--\xe4\r\n\r\n8-bit 756\r\n--\xe4--\r\n
Content-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n--c\r\n\r\nsecond 756\r\n--b\r\n\r\nfirst\r\n--b--\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\nContent-Type: text/plain\n\nLF 756\n--b\rContent-Type: text/plain\r\rCR\r--b--\r
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b--\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nno header\r\n\r\n756\r\n--b--\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ninner 756\r\n--b\r\n\r\nafter\r\n--c--\r\n--b--\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nprefix 756\r\n--bb--\r\n--b--\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsame 756\r\n--b--\r\n--b--\r\n
Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\nLS1iDQoNCjc1Ng0KLS1iLS0NCg==\r\n
Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: digest 756\r\n\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n
Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>756<br>\r\n--b\r\nContent-Type: text/plain\r\n\r\n \r\n--b--
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nStatus: 5.0.0\r\n--b--
Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nsigned 756\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n-----BEGIN\r\n--b--
Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogaW5uZXIgNzU2DQoNCng=\r\n
Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inn=C3=A4r_756/..?=\r\n\r\nx\r\n
Content-Type: message/rfc822\r\n\r\n
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nNzU2
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nNzU2I
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nNzU2IA
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nNzU2=IA==\r\nNzU2
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n====\r\n
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nnot base64 at all: \xff\0 756!\r\n
Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nN z\tU\r\n2-_.,\r\n
Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=37=35=36=\r\n=\r\n=
Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n756 =ZZ =4 = \r\n==\r\n=\rx
Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n756 =00=0D=0A=FF=ed=a0=80
Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a.txt\r\n#-S4V\r\n`\r\nend\r\n
Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644\r\n\xff\xff\r\n#\r\nM\r\n756
Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\n756 \xe4\xf6\xfc \x80\r\n
Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n756 \xc3\xa4 \xe4 \xc3\r\n
Content-Type: text/plain; charset=utf-16\r\n\r\n\xff\xfe7\x005\x006\0\r
Content-Type: text/plain; charset=utf-16le\r\n\r\n7\x005\x006\0\0\xd8
Content-Type: text/plain; charset=utf-7\r\n\r\n756 +2AA- +AOQ- +
Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$3$s 756 \x1b(
Content-Type: text/plain; charset=hz-gb-2312\r\n\r\n~{VPND~} 756 ~
Content-Type: text/html\r\n\r\n<p>756 &amp;&#0;&#xD800;&#x110000;&bogus;&#;<script>756</script
Content-Type: text/html\r\n\r\n<!-- > 756 --><![CDATA[ <b>x</b> ]]> a < b <3 <a href=">">756</a><style>
Content-Type: text/html; charset=utf-8\r\n\r\n<title>x</title><p title='>756
Content-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo\r\n
Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\nx\x9f>"\r\n
Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n756 \r\nflowed \r\n-- \r\n
"""  # noqa: E501  a message is one line here, however long

#: What charset parameters say, in subject and body.
CHARSETS = r"""
x-unknown
unknown-8bit
utf-8
UTF8
utf
iso-8859-1
iso-8859-8-i
iso-8859-15
iso-8859-99
iso_8859-1:1987
windows-1252
windows-1250
windows-874
cp-850
gb2312
gb_2312-80
hz-gb-2312
big5
big5-hkscs
shift_jis
x-sjis
ks_c_5601-1987
euc-kr
euc-jp
iso-2022-kr
koi8-r
koi8-u
us-ascii
ansi_x3.4-1968
utf-16
utf-32
utf-7
utf-9
idna
punycode
rot13
base64
zlib
unicode_escape
undefined
mbcs
x-user-defined
_
%s
../../etc/passwd
0
"""
