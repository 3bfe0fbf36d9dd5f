r"""Malformed messages for ``malformed_messages``, one a line; ``\r\n``, ``\xNN`` and the like are escapes for those bytes."""

from __future__ import annotations

__all__ = ["BARE", "BODIES", "CHARSETS", "lines"]


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
