"""The hooks. A hook named in the plural offers classes, once, when plugins are loaded; the kernel builds the objects.

A plugin becomes one by an entry point in the group ``gatewayd``, or as a single ``.py`` file in the plugins folder that
``gatewayd.yaml`` names. Hooks do no work: a raising one puts its whole plugin out of use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.roles import Command, Directory, Matcher, Transport
    from gatewayd.store import Store

__all__ = ["PROJECT", "hookimpl"]

PROJECT = "gatewayd"

#: Marks a function as a plugin's answer to a hook.
hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


@_hookspec
def gatewayd_transports() -> Sequence[type[Transport]]:
    """Offer transports.

    Called once in every process that loads plugins, in its main thread, before the config is read. Does no I/O.
    Raising puts the plugin out of use, and only the accounts that name its kinds with it.

        @hookimpl
        def gatewayd_transports():
            return [Imap]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_directories() -> Sequence[type[Directory]]:
    """Offer directories.

    Called once in every process that loads plugins, in its main thread, before the config is read. Does no I/O.
    Raising puts the plugin out of use, and only the operators that name its kinds with it.

        @hookimpl
        def gatewayd_directories():
            return [Csv]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_matchers() -> Sequence[type[Matcher]]:
    """Offer matchers.

    Called once in every process that loads plugins, in its main thread, before the config is read. Does no I/O.
    Raising puts the plugin out of use, and only the operators that name its kinds with it.

        @hookimpl
        def gatewayd_matchers():
            return [Vouchers]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_stores() -> Sequence[type[Store]]:
    """Offer stores.

    Called once in every process that loads plugins, in its main thread, before the config is read. Does no I/O.
    Raising puts the plugin out of use; gatewayd can't run where its own store is out of use.

        @hookimpl
        def gatewayd_stores():
            return [Sql]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_commands() -> Sequence[type[Command]]:
    """Offer words for the command line.

    Called once in every process that loads plugins, in its main thread, before the config is read. Does no I/O.
    Raising puts the plugin out of use, and its words with it.

        @hookimpl
        def gatewayd_commands():
            return [Demo]
    """
    raise NotImplementedError
