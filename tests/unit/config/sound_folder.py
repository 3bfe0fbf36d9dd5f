"""A sound config folder with accounts that import and send, targets and forward rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Credential, Forwarder, Transport

if TYPE_CHECKING:
    from gatewayd.api.roles import Plugin

MAIN = "state: state\nstore: {kind: paper}\n"
ACME = """\
users: {irina: {name: Irina Mari, email: irina@example.com}}
targets:
  duty: {kind: post, account: out, to: [duty@example.com, Desk@Example.com], mode: inline}
  hook: {kind: bell, tune: loud, key: !env KEY}
forward:
  - {when: {linked: reservation, subject: "(?i)urgent"}, to: duty}
  - when: {unlinked: true, account: [sales], from: "@Nord.example", to: x@acme.example, attachment: false, queue: late, automatic: true}
    to: [duty, hook]
  - {when: {}, to: hook}
"""
SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n"
OUT = """\
kind: post
operators: [acme]
town: Rome
send:
  from: {name: Acme, address: out@acme.example}
"""
NORD = "title: Nord\n"
#: The plugins of `config_plugins` that the tests use, by role and kind.
KINDS: list[tuple[type[Plugin], str]] = [
    *((Transport, kind) for kind in ("pigeon", "parrot", "goose", "heron")),
    *((Forwarder, kind) for kind in ("post", "bell", "parrot", "goose")),
    (Credential, "seal"),
]
