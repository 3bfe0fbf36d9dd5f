"""Values from plugins: each field of each is checked, what is wrong names the plugin and the field, and nothing is lost."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import gatewayd
from gatewayd import (
    Came,
    Contact,
    Courier,
    Directory,
    Failed,
    Follows,
    Gone,
    Heard,
    Link,
    Listed,
    Miss,
    Page,
    PluginError,
    Receipt,
    Recipient,
    Record,
    Rivals,
    Session,
    Summary,
    Watch,
)
from gatewayd.matching import LocalMatching
from gatewayd.message.mail import BytesSource
from gatewayd.registry import guarded_courier, guarded_session
from gatewayd.registry.checks import SHAPES, Wrong
from gatewayd.registry.guarded_courier import WrongReceipt, open_courier
from gatewayd.registry.guarded_directory import DirectoryFailed, GuardedDirectory
from gatewayd.registry.guarded_session import open_session
from gatewayd.testing import FakeDirectory, FakeForwarder, FakeServer, FakeTransport, make_mail
from gatewayd.testing.contracts.forwarder import make_parcel
from gatewayd.testing.fakes.session import FakeSession
from tests.unit.kernel import Gateway, directory, match_request, match_with, matcher, registry, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NORD = Record(kind="customer", id="C1", label="Nord", fields=(("agent", "A1"),))
SOUND: dict[type, Any] = {
    type(one): one
    for one in (
        NORD,
        Listed("7:1", 20, datetime(2026, 1, 5, tzinfo=UTC), "<1@nord.example>", "1278455344230334865"),
        Page(keys=(Listed("7:1"),), cursor="7 1", exists=1, doubts=("UIDNEXT went back",)),
        Came(key="7:1", source=BytesSource(b"x"), digest=b"d" * 32),
        Gone(key="7:1"),
        Failed(key="7:1", cause="refused"),
        Heard(),
        Summary(
            key="7:1",
            sender="anna@nord.example",
            sender_name="Anna",
            senders=("anna@nord.example",),
            to=("desk@acme.example",),
            subject="Booking",
            sent_at=datetime(2026, 1, 5, tzinfo=UTC),
            attachments=True,
            anchor="a1",
        ),
        Contact(record=NORD, type="EMAIL", value="desk@nord.example", contact_type="sales"),
        Link(1, NORD, "its sender"),
        Rivals(1, (NORD,), "its sender"),
        Miss(1, "nobody"),
        Follows(1, "<1@example.com>", "In-Reply-To"),
        Recipient(address="crm", state="delivered", words="250 ok"),
        Receipt(id=1, recipients=(Recipient(address="crm"),), retry_after=2.5),
    )
}


class Text(str):
    """No text that the kernel knows."""

    __slots__ = ()


class Nowhere(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise KeyError

    dst = tzname = utcoffset  # type: ignore[assignment]


#: What is wrong for whatever field, but for those that it is right for.
NEVER: list[Any] = [object(), b"\xff", [], {}, 1.5j, Text("x"), float("nan"), datetime(2026, 1, 5), lambda: 1]  # noqa: DTZ001  no time zone
#: What is wrong for fields of these values.
WRONG: dict[type, list[Any]] = {
    str: ["x" * (2 << 20), "nul\0", "\ud800", 0, True, None],
    int: [-1, 1 << 63, True, "1", 1.0],
    float: [-0.1, True, "1", float("inf"), 1e300],
    bool: [0, 1, None, "yes"],
    tuple: [(object(),), [], None, "xy"],
    bytes: [b"", b"x" * 31, bytearray(32), "x" * 32],
    datetime: ["2026-01-05", 0, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), datetime(2026, 1, 5, tzinfo=Nowhere())],
}
FIELDS = [(cls, field.name) for cls in SOUND for field in dataclasses.fields(cls)]


def _wrongs(value: object) -> Iterator[Any]:
    for one in (*NEVER, *WRONG.get(type(value), [None, "x"])):
        if not (isinstance(value, tuple) and one == []) and not (type(value) is float and isinstance(one, float) and one == 0):
            yield one


def _wrongs_of(cls: type, field: str) -> Iterator[Any]:
    """Yield values that a field of a value's class must not have; None is one, unless it is the field's default."""
    default = next(one.default for one in dataclasses.fields(cls) if one.name == field)
    yield from (one for one in _wrongs(getattr(SOUND[cls], field)) if not (one is None and default is None))


def _refusals(cls: type, field: str, check: Callable[[Any], object], error: type[Exception]) -> Iterator[str]:
    sound = SOUND[cls]
    check(sound)
    for wrong in _wrongs_of(cls, field):
        with pytest.raises(error) as caught:
            check(dataclasses.replace(sound, **{field: wrong}))
        yield str(caught.value)


def test_every_value_that_comes_from_plugins_has_a_shape_with_all_its_fields() -> None:
    assert SHAPES.keys() == SOUND.keys()
    for cls, shape in SHAPES.items():
        assert list(shape.fields) == [field.name for field in dataclasses.fields(cls)]


@pytest.mark.parametrize(("cls", "field"), FIELDS)
def test_a_field_of_another_type_or_out_of_its_bounds_is_refused_by_name(cls: type, field: str) -> None:
    for text in _refusals(cls, field, SHAPES[cls], Wrong):
        assert text.startswith(f".{field}")
        assert "expected" in text
        assert len(text) < 300


def test_what_a_plugin_made_of_our_class_is_not_it() -> None:
    class Mine(Listed):
        __slots__ = ()

    with pytest.raises(Wrong, match="a Mine, expected Listed"):
        SHAPES[Listed](Mine("7:1"))
    with pytest.raises(Wrong, match=r"\.key is None, expected a value"):
        SHAPES[Listed](object.__new__(Listed))


@pytest.mark.parametrize(
    ("role", "guarded"),
    [
        (Session, guarded_session._Guarded),
        (Watch, guarded_session._GuardedWatch),
        (Courier, guarded_courier._Guarded),
        (Directory, GuardedDirectory),
    ],
)
def test_a_guard_lets_nothing_by_that_it_does_not_know(role: type, guarded: type) -> None:
    public = {name for name, _ in inspect.getmembers(role, callable) if not name.startswith("_")} - {"Options"}
    assert {name for name in public if name not in vars(guarded)} == set()


# --- transports ---------------------------------------------------------------------------------------------------------


def _crooked(**methods: Callable[..., Any]) -> FakeTransport:
    """A transport whose sessions answer as these methods do."""

    class Crooked(FakeSession):
        pass

    for name, method in methods.items():
        setattr(Crooked, name, method)

    class Transport(FakeTransport):
        def open(self) -> Any:
            self.sessions += 1
            return Crooked(self)

    return Transport(account="main")


@pytest.mark.parametrize(("cls", "field"), [one for one in FIELDS if one[0] in {Listed, Page}])
def test_a_wrong_page_ends_the_visit_and_nothing_is_entered_or_gone(tmp_path: Path, cls: type, field: str) -> None:
    wrong: list[Any] = [None]

    def listing(self: FakeSession, folder: str, cursor: str | None) -> Iterator[Any]:
        del self, folder, cursor
        page = dataclasses.replace(SOUND[Page], others_gone=True)
        yield (
            dataclasses.replace(page, keys=(dataclasses.replace(SOUND[Listed], **wrong[0]),))
            if cls is Listed
            else (dataclasses.replace(page, **wrong[0]))
        )

    good = FakeTransport(account="main")
    keys = [good.deliver(b"Subject: %d\r\n\r\n" % number) for number in range(3)]
    with Gateway(tmp_path, good) as gateway:
        gateway.good()
        gateway.transport = _crooked(listing=listing)
        for one in _wrongs_of(cls, field):
            wrong[0] = {field: one}
            report = gateway.visit()
            assert isinstance(report.error, PluginError)
            assert f".{field}" in report.error.message
            assert "the transport fake of account main is at fault, `listing`" in report.error.message
            # The line of the author's that yielded it.
            assert "(test_checks.py:" in report.error.message
        assert {key: one.state for key, one in gateway.store.known("main", "INBOX", keys).items()} == dict.fromkeys(keys, "filed")


@pytest.mark.parametrize(("cls", "field"), [one for one in FIELDS if one[0] in {Came, Gone, Failed}])
def test_a_wrong_answer_to_a_fetch_leaves_the_key_waiting(tmp_path: Path, cls: type, field: str) -> None:
    wrong: list[Any] = [None]

    def fetch(self: FakeSession, folder: str, listed: Any, spool: Any) -> Iterator[Any]:
        del self, folder, spool
        yield dataclasses.replace(SOUND[cls], **{"key": listed[0].key, **wrong[0]})

    transport = _crooked(fetch=fetch)
    key = transport.deliver(b"Subject: one\r\n\r\n")
    with Gateway(tmp_path, transport) as gateway:
        for one in _wrongs_of(cls, field):
            wrong[0] = {field: one}
            report = gateway.visit(keys=[key])
            assert isinstance(report.error, PluginError)
            assert f"{cls.__name__}.{field}" in report.error.message
            assert gateway.store.known("main", "INBOX", [key])[key].state == "waiting"


@pytest.mark.parametrize("nonsense", [None, "7:1", Gone(key="4711"), SOUND[Came], Listed("7:1")])
def test_an_answer_to_what_was_not_asked_is_the_transports_fault(nonsense: Any) -> None:
    def fetch(self: FakeSession, folder: str, listed: Any, spool: Any) -> Iterator[Any]:
        del self, folder, spool
        yield Gone(key=listed[0].key)
        yield nonsense

    found = open_session(_crooked(fetch=fetch)).fetch("INBOX", [Listed("1")], None)  # type: ignore[arg-type]
    assert next(found) == Gone(key="1")
    with pytest.raises(PluginError, match="the transport fake of account main is at fault, `fetch`"):
        next(found)


ELSE: dict[str, tuple[Callable[[Session], object], list[Any]]] = {
    "listing": (lambda one: list(one.listing("INBOX", None)), [None, 7, [None]]),
    "fetch": (lambda one: list(one.fetch("INBOX", [Listed("1")], None)), [None, 7]),  # type: ignore[arg-type]
    "look_up": (
        lambda one: list(one.look_up("INBOX", ["1"])),
        [None, 7, ["1"], [None], [Listed("2")], [Listed("1", -1)], [Gone(key="1")]],
    ),
    "headers": (
        lambda one: list(one.headers("INBOX", ["1"])),
        [None, ["1"], [("1",)], [("2", b"")], [("1", "text")], [(1, b"")], [("1", bytearray())], [("1", b"x" * (2 << 20))]],
    ),
    "problems": (lambda one: one.problems(["INBOX"], None), [None, "no folder", [7], [None], ["\ud800"], {"a": 1}]),
    "watch": (lambda one: one.watch("INBOX"), [7, True, object()]),
}


@pytest.mark.parametrize("method", ELSE)
def test_whatever_else_a_session_answers_is_checked(method: str) -> None:
    ask, wrongs = ELSE[method]
    for wrong in wrongs:
        opened = open_session(_crooked(**{method: lambda *_, wrong=wrong: wrong}))
        with pytest.raises(PluginError) as caught:
            ask(opened)
        assert f"the transport fake of account main is at fault, `{method}`: " in caught.value.message


def test_what_a_watch_says_is_checked() -> None:
    class Odd(Watch):
        said: Any = None

        def fileno(self) -> int:
            return self.said  # type: ignore[no-any-return]

        def listen(self) -> Heard:
            return self.said  # type: ignore[no-any-return]

        def renew(self) -> None:
            pass

        def end(self) -> bool:
            return self.said  # type: ignore[no-any-return]

    odd = Odd()
    watch = open_session(_crooked(watch=lambda *_: odd)).watch("INBOX")
    assert watch is not None
    assert watch.lasts == Watch.lasts
    for field in ("news", "proven"):
        for wrong in _wrongs(False):
            odd.said = Heard(**{field: wrong})
            with pytest.raises(PluginError, match=rf"`listen`: Heard\.{field} is "):
                watch.listen()
    methods: dict[str, list[Any]] = {"fileno": [None, -1, True, "3"], "end": [None, 0, "yes"], "listen": [None, True]}
    for method, wrongs in methods.items():
        for odd.said in wrongs:
            with pytest.raises(PluginError, match=f"the transport fake of account main is at fault, `{method}`"):
                getattr(watch, method)()
    Odd.lasts = "long"  # type: ignore[assignment]
    with pytest.raises(PluginError, match=r"Watch\.lasts is 'long'"):
        open_session(_crooked(watch=lambda *_: odd)).watch("INBOX")


@pytest.mark.parametrize("opened", [None, 7, object(), FakeServer()])
def test_what_opens_to_nothing_is_told(opened: object) -> None:
    class Transport(FakeTransport):
        def open(self) -> Any:
            return opened

    class Forwarder(FakeForwarder):
        def open(self) -> Any:
            return opened

    with pytest.raises(PluginError, match=r"the transport fake of account main is at fault, `open`.*expected a Session"):
        open_session(Transport(account="main"))
    with pytest.raises(PluginError, match=r"the forwarder .* of crm is at fault, `open`.*expected a Courier"):
        open_courier(Forwarder(FakeForwarder.Options(), name="crm"))


# --- couriers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "field"), [one for one in FIELDS if one[0] in {Recipient, Receipt}])
def test_a_wrong_receipt_is_never_taken_for_a_delivery(cls: type, field: str) -> None:
    def deliver(receipt: Any) -> object:
        class Odd(Courier):
            def deliver(self, parcels: Any) -> Iterator[Receipt]:
                del parcels
                yield receipt if cls is Receipt else dataclasses.replace(SOUND[Receipt], recipients=(receipt,))

            def abort(self) -> None:
                pass

            def close(self) -> None:
                pass

        class Forwarder(FakeForwarder):
            def open(self) -> Courier:
                return Odd()

        courier = open_courier(Forwarder(FakeForwarder.Options(), name="acme/crm"))
        return list(courier.deliver([make_parcel(to=["crm"], sends_mail=False)]))

    for text in _refusals(cls, field, deliver, WrongReceipt):
        assert "acme/crm is at fault, `deliver`: Receipt." in text
        assert f".{field}" in text
        assert "it may have been delivered" in text
        assert "(test_checks.py:" in text


# --- directories --------------------------------------------------------------------------------------------------------


ASK: dict[str, Callable[[Directory], object]] = {
    "find": lambda known: known.find("customer", "id", {"C1"}),
    "persons": lambda known: known.persons({"A@Nord.example"}),
    "contacts": lambda known: known.contacts({"A@Nord.example"}),
    "reservations": lambda known: known.reservations({"B-756"}),
    "search": lambda known: known.search("customer", "nord", limit=2),
}
KINDS = {"find": "customer", "persons": "person", "reservations": "reservation", "search": "customer"}
KEYS = {"find": "C1", "persons": "a@nord.example", "contacts": "a@nord.example", "reservations": "B-756"}


def _answering(method: str, answer: object) -> GuardedDirectory:
    inner = FakeDirectory()
    object.__setattr__(inner, method, lambda *_, **__: answer)
    return GuardedDirectory(inner)


def _wrapped(method: str, one: object) -> object:
    return [one] if method == "search" else {KEYS[method]: [one]}


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("field", [field for cls, field in FIELDS if cls is Record])
def test_a_wrong_record_is_the_directorys_fault(method: str, field: str) -> None:
    sound = dataclasses.replace(NORD, kind=KINDS[method])  # type: ignore[arg-type]
    assert ASK[method](_answering(method, _wrapped(method, sound)))
    more = ["ship", "product"] if field == "kind" else []
    for wrong in (*_wrongs(getattr(sound, field)), *more):
        answer = _wrapped(method, dataclasses.replace(sound, **{field: wrong}))
        with pytest.raises(DirectoryFailed, match=rf"the directory fake is at fault, `{method}`: .*\.{field}"):
            ASK[method](_answering(method, answer))


@pytest.mark.parametrize("field", [field for cls, field in FIELDS if cls is Contact])
def test_a_wrong_contact_is_the_directorys_fault(field: str) -> None:
    sound = SOUND[Contact]
    assert ASK["contacts"](_answering("contacts", _wrapped("contacts", sound)))
    more: dict[str, list[Any]] = {"type": ["email", "PHONE"], "record": [dataclasses.replace(NORD, kind="person")]}
    for wrong in (*_wrongs(getattr(sound, field)), *more.get(field, [])):
        answer = _wrapped("contacts", dataclasses.replace(sound, **{field: wrong}))
        with pytest.raises(DirectoryFailed, match=rf"the directory fake is at fault, `contacts`: .*\.{field}"):
            ASK["contacts"](_answering("contacts", answer))


class Lazy(Mapping[str, object]):
    """Fails when it is looked into."""

    def __getitem__(self, key: str) -> object:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a@nord.example"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("method", KEYS)
@pytest.mark.parametrize(
    "answer",
    [None, 7, "C1", ["C1"], {None: []}, {7: []}, {"other": []}, {"A@Nord.example": []}, Lazy()]
    + [
        {key: wrong} for key in ("C1", "a@nord.example", "B-756") for wrong in (None, "Anna", {NORD}, iter(()), [None], ["C1"], [7])
    ],
)
def test_an_answer_of_another_shape_is_the_directorys_fault(method: str, answer: object) -> None:
    with pytest.raises(DirectoryFailed):
        ASK[method](_answering(method, answer))


@pytest.mark.parametrize("wrong", [None, "persons.csv:17", [7], [None], {"a": 1}, ["\ud800"]])
def test_the_faults_of_a_refresh_are_texts(wrong: object) -> None:
    with pytest.raises(DirectoryFailed, match="the directory fake is at fault, `refresh`"):
        _answering("refresh", wrong).refresh()


def test_an_answer_has_a_bound() -> None:
    with pytest.raises(DirectoryFailed, match="the number of records is 100001"):
        ASK["find"](_answering("find", {"C1": [NORD] * 100_001}))
    with pytest.raises(DirectoryFailed, match="the number of records is 3"):
        ASK["search"](_answering("search", [NORD] * 3))
    assert _answering("refresh", ["x" * 10_000] * 20_000).refresh() == ["x" * 2000] * 10_000


@pytest.mark.parametrize("method", ["find", "persons", "contacts", "reservations"])
@pytest.mark.parametrize("values", ["TRIP-1", b"TRIP-1", None, 7, [None], {1}, iter(["TRIP-1"])])
def test_what_a_matcher_asks_wrongly_is_its_own_fault(method: str, values: Any) -> None:
    def match(mails: Any, known: Directory) -> Any:
        del mails
        ask = getattr(known, method)
        return ask("customer", "id", values) if method == "find" else ask(values)

    request = match_request(spec=spec("acme", "asks", known=True), mails=(make_mail(),))
    found = match_with(LocalMatching(registry(matcher("asks", match), directory([NORD]))), request)
    ((_, fault),) = found.faults
    assert fault.by == "asks"
    assert f"TypeError: {method} was asked for " in fault.error
    assert "expected a collection of texts" in fault.error


@pytest.mark.parametrize("method", ["find", "search"])
def test_a_kind_that_there_is_none_of_is_the_matchers_fault(method: str) -> None:
    with pytest.raises(ValueError, match=f"{method} was asked for the kind 'ship', expected person or customer or "):
        {"find": lambda known: known.find("ship", "id", {"1"}), "search": lambda known: known.search("ship", "x")}[method](
            GuardedDirectory(FakeDirectory())
        )


# --- matchers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cls", "field"), [one for one in FIELDS if one[0] in {Link, Rivals, Miss, Follows}])
def test_a_wrong_finding_is_the_matchers_fault_on_that_mail_alone(cls: type, field: str) -> None:
    wrong: list[Any] = [None]

    def match(mails: Any, known: Directory) -> Iterator[Any]:
        known.find("customer", "id", {"C1"})
        for mail in mails:
            yield dataclasses.replace(SOUND[cls], mail_id=mail.id) if mail.id == 2 else wrong[0]

    matching = LocalMatching(registry(matcher("says", match), directory([NORD])))
    request = match_request(spec=spec("acme", "says", known=True), mails=tuple(make_mail(mail_id=number) for number in (1, 2)))
    for one in _wrongs_of(cls, field):
        wrong[0] = dataclasses.replace(SOUND[cls], **{field: one})
        found = match_with(matching, request)
        ((mail_id, fault),) = found.faults
        assert (mail_id, fault.by) == (1, "says")
        assert fault.error.startswith(f"{cls.__name__}.{field}")
        assert "(test_checks.py:" in fault.error
        said: list[tuple[str, Any]] = [*found.links, *found.rivals, *found.misses, *found.follows]
        assert [finding.mail_id for _, finding in said] == [2]


def test_all_that_a_plugin_can_give_is_public() -> None:
    assert {cls.__name__ for cls in SHAPES} <= set(vars(gatewayd)["__all__"])


def test_what_a_courier_says_is_wrong_is_a_list_of_texts() -> None:
    class Odd(Courier):
        found: ClassVar[object] = ["no permission"]

        def deliver(self, parcels: Any) -> Iterator[Receipt]:
            raise NotImplementedError

        def problems(self) -> Any:
            return self.found

        def abort(self) -> None:
            pass

        def close(self) -> None:
            pass

    class Forwarder(FakeForwarder):
        def open(self) -> Courier:
            return Odd()

    courier = open_courier(Forwarder(FakeForwarder.Options(), name="out"))
    assert [*courier.problems()] == ["no permission"]
    for wrong in ([7], "text", None):
        Odd.found = wrong
        with pytest.raises(PluginError, match="the forwarder fake of out is at fault, `problems`: "):
            courier.problems()
    plain = open_courier(FakeForwarder.on({})(FakeForwarder.Options(), name="out"))
    assert [*plain.problems()] == []
