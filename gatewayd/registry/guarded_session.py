"""Guard a transport's session: what it lists and fetches is checked before anything is entered or filed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from gatewayd.api.offers import Summary
from gatewayd.api.session import Heard, Session, Watch
from gatewayd.api.values import Came, Failed, Gone, Listed, Page
from gatewayd.errors import PluginError
from gatewayd.registry import checks
from gatewayd.registry.checks import Wrong
from gatewayd.runtime.traces import suspended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.api.roles import Transport
    from gatewayd.api.spool import Spool
    from gatewayd.api.values import Action, Fetched

__all__ = ["open_session"]

_T = TypeVar("_T")
_FETCHED: tuple[type[Fetched], ...] = (Came, Gone, Failed)


def open_session(transport: Transport) -> Session:
    """Open a transport's session. Raises what the transport raises, and PluginError where what it gives is none."""
    opened = transport.open()
    who = f"the transport {transport.kind} of account {transport.account}"
    if not isinstance(opened, Session):
        raise _wrong(who, "open", Wrong(opened, "a Session"))
    return _Guarded(opened, who)


def _wrong(who: str, method: str, wrong: Wrong, source: object = None) -> PluginError:
    return PluginError(f"{who} is at fault, `{method}`: {wrong.at(suspended(source))}", advice="Mend the plugin.")


class _Guarded(Session):
    def __init__(self, inner: Session, who: str) -> None:
        self._inner = inner
        self._who = who

    @property
    def came(self) -> int:
        found: object = self._inner.came
        if type(found) is not int or found < 0:
            raise _wrong(self._who, "came", Wrong(found, "a number of bytes"))
        return found

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        return self._each("listing", self._inner.listing(folder, cursor), lambda one: checks.value(one, Page))

    def compare(self, folder: str, cursor: str | None) -> Iterator[Page]:
        return self._each("compare", self._inner.compare(folder, cursor), lambda one: checks.value(one, Page))

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        asked = frozenset(keys)

        def check(one: object) -> tuple[str, bytes]:
            found = checks.header(one)
            if found[0] not in asked:
                raise Wrong(found[0], "a key that it was asked for", "its key")
            return found

        return self._each("headers", self._inner.headers(folder, keys), check)

    def summaries(self, folder: str, keys: Sequence[str]) -> Iterator[Summary]:
        asked = frozenset(keys)

        def check(one: object) -> Summary:
            found = checks.value(one, Summary)
            if found.key not in asked:
                raise Wrong(found.key, "a key that it was asked for", "Summary.key")
            return found

        return self._each("summaries", self._inner.summaries(folder, keys), check)

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        asked = frozenset(keys)

        def check(one: object) -> Listed:
            found = checks.value(one, Listed)
            if found.key not in asked:
                raise Wrong(found.key, "a key that it was asked for", "Listed.key")
            return found

        return self._each("look_up", self._inner.look_up(folder, keys), check)

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        left = {one.key for one in listed}

        def check(one: object) -> Fetched:
            found = checks.value(one, *_FETCHED)
            if found.key not in left:
                raise Wrong(found.key, "a key that it was asked for, and once", f"{type(found).__name__}.key")
            left.remove(found.key)
            return found

        return self._each("fetch", self._inner.fetch(folder, listed, spool), check)

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        self._inner.settle(folder, keys, action)

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        return self._one("problems", self._inner.problems(folders, action), checks.texts)

    def watch(self, folder: str) -> Watch | None:
        watch = self._inner.watch(folder)
        if watch is None:
            return None
        if not isinstance(watch, Watch):
            raise _wrong(self._who, "watch", Wrong(watch, "a Watch or None"))
        return _GuardedWatch(watch, self._who)

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        self._inner.close()

    def _each(self, method: str, found: object, check: Callable[[object], _T]) -> Iterator[_T]:
        if not isinstance(found, Iterable):
            raise _wrong(self._who, method, Wrong(found, "an iterator"))
        for one in found:
            yield self._one(method, one, check, found)

    def _one(self, method: str, value: object, check: Callable[[object], _T], source: object = None) -> _T:
        try:
            return check(value)
        except Wrong as wrong:
            raise _wrong(self._who, method, wrong, source) from None


class _GuardedWatch(Watch):
    def __init__(self, inner: Watch, who: str) -> None:
        self._inner = inner
        self._who = who
        # A class attribute of the plugin's.
        lasts: object = inner.lasts
        if not isinstance(lasts, int | float) or not lasts > 0:
            raise _wrong(who, "watch", Wrong(lasts, "seconds above 0", "Watch.lasts"))
        # Not `self.lasts = ...`: to a type checker it is the class's alone.
        vars(self)["lasts"] = float(lasts)

    def fileno(self) -> int:
        number: object = self._inner.fileno()
        if type(number) is not int or number < 0:
            raise _wrong(self._who, "fileno", Wrong(number, "the number of an open file"))
        return number

    def listen(self) -> Heard:
        found: object = self._inner.listen()
        try:
            return checks.value(found, Heard)
        except Wrong as wrong:
            raise _wrong(self._who, "listen", wrong) from None

    def renew(self) -> None:
        self._inner.renew()

    def end(self) -> bool:
        news: object = self._inner.end()
        if type(news) is not bool:
            raise _wrong(self._who, "end", Wrong(news, "True or False"))
        return news
