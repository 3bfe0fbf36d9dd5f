"""The hooks that a plugin's module may implement: one for each role, and one for each event. A hook named in the plural offers
classes, once, when plugins are loaded; the kernel builds the objects. A hook in the past participle tells what happened, apart
from the mail's path.

A plugin becomes one by an entry point in the group ``gatewayd``, or as a single ``.py`` file in the plugins folder that
``gatewayd.yaml`` names. Hooks that offer do no work: a raising one puts its whole plugin out of use. So does an import that takes
longer than ``plugins.deadline``, or changes what others in its process use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.credential import Credential
    from gatewayd.api.events import AccountChanged, ConfigLoaded, DeliverySettled, MailFailed, MailFiled
    from gatewayd.api.forwarder import Forwarder
    from gatewayd.api.roles import Command, Directory, Matcher, Transport
    from gatewayd.api.store import Store

__all__ = ["PROJECT", "hookimpl"]

PROJECT = "gatewayd"

#: Marks a function as a plugin's answer to a hook.
hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


@_hookspec
def gatewayd_transports() -> Sequence[type[Transport]]:
    """Offer transports.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use, and only the accounts that name its kinds with it.

        @hookimpl
        def gatewayd_transports():
            return [Imap]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_credentials() -> Sequence[type[Credential]]:
    """Offer credentials, which get access tokens.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use, and only the accounts that use its kinds with it.

        @hookimpl
        def gatewayd_credentials():
            return [Google]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_directories() -> Sequence[type[Directory]]:
    """Offer directories.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use, and only the operators that name its kinds with it.

        @hookimpl
        def gatewayd_directories():
            return [Csv]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_matchers() -> Sequence[type[Matcher]]:
    """Offer matchers.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use, and only the operators that name its kinds with it.

        @hookimpl
        def gatewayd_matchers():
            return [Vouchers]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_forwarders() -> Sequence[type[Forwarder]]:
    """Offer forwarders.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use, and only the accounts and targets that name its kinds with it.

        @hookimpl
        def gatewayd_forwarders():
            return [Webhook]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_stores() -> Sequence[type[Store]]:
    """Offer stores.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use; gatewayd can't run where its own store is out of use.

        @hookimpl
        def gatewayd_stores():
            return [Sql]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_commands() -> Sequence[type[Command]]:
    """Offer words for the command line.

    Called in a process apart, where the plugin is tried, and once in each process that needs one of its kinds. Does no I/O.
    Raising puts the plugin out of use, and its words with it.

        @hookimpl
        def gatewayd_commands():
            return [Demo]
    """
    raise NotImplementedError


@_hookspec
def gatewayd_mail_filed(event: MailFiled) -> None:
    """Hear that a mail was filed, for all of its operators.

    Called once for each mail, after the commit, at most once: what 1,000 waiting events leave no room for, and what a
    killed daemon had not told yet, is never told. In a thread of the daemon's own, one event after the other. May do any I/O; what
    takes longer than 30 seconds is left behind, and the plugin hears nothing until it returns. Raising is logged.

        @hookimpl
        def gatewayd_mail_filed(event):
            print(event.mail_id, event.operators)
    """
    raise NotImplementedError


@_hookspec
def gatewayd_mail_failed(event: MailFailed) -> None:
    """Hear that something went wrong for a filing, which stands in the error queue now.

    Called once for each fault, after the commit, as `gatewayd_mail_filed` is: at most once, in a thread of the daemon's own.
    May do any I/O within 30 seconds. Raising is logged.

        @hookimpl
        def gatewayd_mail_failed(event):
            print(event.mail_id, event.operator, event.by)
    """
    raise NotImplementedError


@_hookspec
def gatewayd_delivery_settled(event: DeliverySettled) -> None:
    """Hear that a delivery came to its end: it was delivered, or needs a person.

    Called once for each, after the commit, as `gatewayd_mail_filed` is: at most once, in a thread of the daemon's own. May do
    any I/O within 30 seconds. Raising is logged.

        @hookimpl
        def gatewayd_delivery_settled(event):
            if event.state == "parked":
                print(event.delivery_id, event.words)
    """
    raise NotImplementedError


@_hookspec
def gatewayd_account_changed(event: AccountChanged) -> None:
    """Hear that an account is in another condition, such as paused.

    Called at each change, as `gatewayd_mail_filed` is: at most once, in a thread of the daemon's own. May do any I/O within
    30 seconds. Raising is logged.

        @hookimpl
        def gatewayd_account_changed(event):
            if event.health.condition == "paused":
                print(event.health.account, event.health.error)
    """
    raise NotImplementedError


@_hookspec
def gatewayd_config_loaded(event: ConfigLoaded) -> None:
    """Hear that the config was taken over.

    Called at the start and after each change, as `gatewayd_mail_filed` is: at most once, in a thread of the daemon's own. May do
    any I/O within 30 seconds. Raising is logged.

        @hookimpl
        def gatewayd_config_loaded(event):
            print(event.accounts, event.faults)
    """
    raise NotImplementedError
