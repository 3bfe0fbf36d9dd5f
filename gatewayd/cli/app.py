"""Config, plugins, store and matching for all commands, each made when first used; and the rights of who asks."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.api.forwarder import Forwarder
from gatewayd.api.queries import Query, Viewer
from gatewayd.api.roles import Folders, Transport
from gatewayd.api.store import Store
from gatewayd.cli import output
from gatewayd.cli.guarding import guarded
from gatewayd.cli.params import user_name
from gatewayd.cli.user_mailboxes import with_mailboxes
from gatewayd.desk.following import viewer_of
from gatewayd.errors import ConfigError, PermanentError, TransientError
from gatewayd.registry import loading
from gatewayd.registry.guarded_courier import open_courier
from gatewayd.registry.guarded_session import open_session
from gatewayd.runtime.instance import Instance, enter, has_ended, prepare, running_daemons
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from gatewayd.api.forwarder import Courier
    from gatewayd.api.health import DaemonHealth
    from gatewayd.api.session import Session
    from gatewayd.cli.params import Asker
    from gatewayd.config import AccountConfig, Config
    from gatewayd.desk import Desk
    from gatewayd.matching import DirectoryAnswers, LocalMatching, OperatorSpec
    from gatewayd.message.message_ids import Signer
    from gatewayd.outgoing.routing import Router

__all__ = ["App"]

#: If a plugin's import takes longer than these seconds, the person is told.
_PATIENCE = 1.5


class App:
    """One run of the command line. ``close`` closes everything that was opened, in reverse order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: The user's name. It is read before root becomes the owner of the state folder, who may have no name.
        self.who = user_name()
        #: Read the config files as they are, without the last accepted copies of faulty ones: for commands that report faults.
        self.as_it_stands = False
        #: Leave out the mailboxes that users added, which the store has: for commands that need neither. Set it before ``config``.
        self.only_files = False
        self._stack = ExitStack()

    def close(self) -> None:
        """Close everything."""
        self._stack.close()

    @cached_property
    def config(self) -> Config:
        """The config, with its faults, and with the mailboxes that users added."""
        return with_mailboxes(self, self._by_files)

    @cached_property
    def _by_files(self) -> Config:
        """What the files say. Faulty ones are replaced by their last accepted copies, and the person is told."""
        load = config.load if self.as_it_stands else config.current
        found = load(self.folder, enter=enter, tries=self._tries)
        #: What persons consented to, by which accounts get tokens. No command makes a store only to look for it.
        self.consents = config.consents_of(found, lambda: config.unchanged(self._store(), lambda: self.store))
        if found.standing_in and not self.as_it_stands:
            files = ", ".join(found.standing_in)
            output.note(f"gatewayd: faulty, so taken as last accepted: {files}; see `gatewayd check`.")
        return found

    @cached_property
    def registry(self) -> loading.Registry:
        """The plugins of this config, or all that are found if the config can't be used."""
        try:
            return self._by_files.registry
        except ConfigError:
            return config.plugins_of(self.folder, enter=enter, tries=self._tries)

    @property
    def _tries(self) -> loading.Trials:
        """How plugins are tried. A person who waits long is told for which plugin."""

        def importing(name: str, source: str) -> None:
            output.note(f"gatewayd: importing the plugin {name} ({source}) ...")

        return loading.Trials(again=self.as_it_stands, say=importing, after=_PATIENCE)

    @cached_property
    def store(self) -> Store:
        """The store, opened."""
        state = self._by_files.state
        prepare(state)
        store = self._store()
        if config.was_accepted(state) and store.is_new():
            self._tell_of_new()
        store.open()
        self._stack.callback(store.close)
        config.free_names(self._by_files, store)
        return store

    def _tell_of_new(self) -> None:
        """Warn that the database is missing though there was one; raises TransientError if a daemon still has it open."""
        advice = "Put it back where it was, or stop gatewayd and restore a backup"
        if daemons := running_daemons(self._by_files.state):
            what = f"there is no database, though the daemon runs as process {min(daemons)}: it was moved or removed"
            raise TransientError(what, advice=f"{advice}.")
        what = "the database is missing, though the state folder was used before, so an empty one is made"
        output.note(f"gatewayd: {what}. If there was mail in it: {advice.lower()}.")

    def daemons(self) -> Sequence[DaemonHealth]:
        """The daemons that are alive. The report of one that was killed on this machine stays in the store for a while."""
        return [one for one in self.store.daemons() if not has_ended(self.config.state, one.holder)]

    def has_store(self) -> bool:
        """Whether there is a store of this version, so that opening it changes nothing."""
        return self._store().is_current()

    def _store(self) -> Store:
        found = self._by_files
        return self.registry.get(Store, found.store_kind)(found.store_options, place=Folders(config=self.folder, state=found.state))

    @cached_property
    def instance(self) -> Instance:
        """This process as a holder of leases."""
        state = self._by_files.state
        prepare(state)
        try:
            return self._stack.enter_context(Instance(state))
        except OSError as error:
            advice = "Make the state folder writable for this user, and see that its disk is not full."
            raise TransientError(f"{state}: {error.strerror}", advice=advice) from error

    @cached_property
    def local_matching(self) -> LocalMatching:
        """Matching in this process."""
        from gatewayd.matching import LocalMatching  # noqa: PLC0415  imported late: only what looks at mail needs it

        prepare(self.config.state)
        local_matching = LocalMatching(self.registry)
        self._stack.callback(local_matching.close)
        return local_matching

    @cached_property
    def matching(self) -> DirectoryAnswers:
        """Matches mail and asks directories: in worker processes with deadlines, unless the config wants none."""
        if not self.config.workers.processes:
            return self.local_matching
        prepare(self.config.state)
        from gatewayd.matching.worker_matching import WorkerMatching  # noqa: PLC0415  imported late, too

        # One account is visited at a time, and one process keeps up with it.
        workers = WorkerMatching(self.registry, self.config.workers.model_copy(update={"processes": 1}), looks_apart=False)
        self._stack.callback(workers.close)
        return workers

    @cached_property
    def specs(self) -> Mapping[str, OperatorSpec]:
        """Every operator's spec, by name."""
        from gatewayd.matching import specs  # noqa: PLC0415  imported late, too

        return specs(self.config)

    @cached_property
    def desk(self) -> Desk:
        """The desk."""
        from gatewayd.desk import Desk  # noqa: PLC0415  imported late: only what people do needs it

        with_users = frozenset(name for name, one in self.config.operators.items() if one.users)
        return Desk(
            store=self.store,
            specs=self.specs,
            matching=lambda: self.matching,
            with_users=with_users,
            router=lambda: self.router,
        )

    @cached_property
    def signer(self) -> Signer:
        """Signs and verifies our own Message-IDs."""
        from gatewayd.config.signing_key import load_signer  # noqa: PLC0415  imported late: only what goes out needs it

        prepare(self.config.state)
        return load_signer(self.config.signing_key, self.config.state)

    @cached_property
    def router(self) -> Router:
        """The router of forward rules. It counts only what this process sends to targets."""
        from gatewayd.outgoing.routing import Router  # noqa: PLC0415  imported late, too

        return Router(self.config, self.signer, self.store.inheritable, origins=self.store.origins)

    @cached_property
    def thread(self) -> Executor:
        """A thread for a visit's session."""
        threads = WorkerThreads(1, "session")
        # A thread that hangs while connecting is not waited for; it ends with the process.
        self._stack.callback(threads.shutdown, wait=False)
        return threads

    def account(self, name: str) -> AccountConfig:
        """Return a valid account. Raises ConfigError with its faults for a faulty one, PermanentError for an unknown one."""
        found = self.config.accounts.get(name)
        if found is not None:
            return found
        faults = [fault for fault in self.config.faults if config.account_of(fault.file) == name]
        if faults:
            advice = "Correct its file; `gatewayd check` shows all faults."
            raise ConfigError(f"account {name} is faulty", faults=faults, advice="" if config.is_of_user(name) else advice)
        have = ", ".join(sorted(self.config.accounts)) or "none"
        raise PermanentError(f"there is no account {name!r}", advice=f"Accounts are: {have}.")

    def transport(self, account: AccountConfig) -> Transport:
        """Return an account's transport; raises PermanentError for one that only sends."""
        if account.kind not in self.registry.kinds(Transport):
            advice = "Name an account with an `import:` block."
            raise PermanentError(f"account {account.name} only sends: no mail comes by it", advice=advice)
        chosen = self.registry.get(Transport, account.kind)
        return chosen(account.options, account=account.name)

    @contextmanager
    def session(self, account: AccountConfig) -> Iterator[Session]:
        """Open a session outside a visit. Any exception of its transport but the five errors becomes a PluginError."""
        with guarded("transport", account), closing(open_session(self.transport(account))) as session:
            yield session

    @contextmanager
    def courier(self, account: AccountConfig) -> Iterator[Courier]:
        """Log in to an account that sends. Any exception of its forwarder but the five errors becomes a PluginError."""
        forwarder = self.registry.get(Forwarder, account.kind)(account.options, name=account.name)
        with guarded("forwarder", account), closing(open_courier(forwarder)) as courier:
            yield courier

    def viewers(self, asker: Asker) -> list[Viewer]:
        """Return who asks: one operator, or for the administrator each of them with all its users, former ones too.

        Raises UsageError for flags that don't go together, and PermanentError for an unknown operator or user.
        """
        operator, operators = asker.operator, self.config.operators
        if asker.all_operators:
            if operator or asker.users:
                raise click.UsageError("--all-operators goes without --operator and --user")
            users = {name: list(one.users) for name, one in operators.items()}
            for former, user in self._former():
                users.setdefault(former, []).extend([user] if user else [])
            return [Viewer(operator=name, users=tuple(all_), withheld=True) for name, all_ in users.items()]
        if operator is None:
            if len(operators) != 1:
                raise click.UsageError(f"--operator is needed; operators are: {', '.join(operators) or 'none'}")
            operator = next(iter(operators))
        if operator not in operators:
            raise PermanentError(f"there is no operator {operator!r}", advice=f"Operators are: {', '.join(operators) or 'none'}.")
        for user in asker.users:
            if user not in operators[operator].users and not operators[operator].faulty:
                have = ", ".join(operators[operator].users) or "none"
                raise PermanentError(f"operator {operator} has no user {user!r}", advice=f"Users are: {have}.")
        return [viewer_of(self.config, operator, asker.users)]

    def former(self) -> Mapping[tuple[str, str | None], int]:
        """Return the number of filings of operators and users that are no longer in the config, by (operator, user)."""
        faulty = {name for name, one in self.config.operators.items() if one.faulty}
        # The users of a faulty operator are not known.
        return {who: number for who, number in self._former().items() if who[1] is None or who[0] not in faulty}

    def _former(self) -> Mapping[tuple[str, str | None], int]:
        known = {(name, user) for name, one in self.config.operators.items() for user in (None, *one.users)}
        return self.store.former(known)

    def reader(self, mail_id: int, asker: Asker) -> Viewer:
        """Return as whom one mail is read; for the administrator, the first operator that has it."""
        viewers = self.viewers(asker)
        if not asker.all_operators:
            return viewers[0]
        for one in viewers:
            if self.store.filings(one, Query(ids=(mail_id,))):
                return one
        raise PermanentError(f"nobody has a mail {mail_id}", advice="See `gatewayd mail list --all-operators`.")

    def viewer(self, asker: Asker) -> Viewer:
        """Return the one operator, with users, who asks."""
        return self.viewers(asker)[0]

    def warn_of_faults(self) -> None:
        """Warn of faults in the config if the command goes on without the faulty files."""
        if self.config.faults:
            faults = output.count(len(self.config.faults), "fault")
            files = ", ".join(sorted({fault.file for fault in self.config.faults}))
            output.note(f"gatewayd: the config has {faults}, in {files}; see `gatewayd check`. What is sound goes on.")
