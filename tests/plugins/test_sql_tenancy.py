"""Who sees what, by a model: whatever is shared, asked, followed, given, renamed, and whoever leaves and comes back (promise P6)."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gatewayd import Folders, OfferQuery, PermanentError, Query, Viewer
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw, rename
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.plugins.viewer_verbs import BY_RULES, FILING_VERBS, OFFER_VERBS, Kept, verbs_with_viewer

#: Too few for every pair, so that what meets meets often.
_PEOPLE = ("acme/irina", "acme/tom", "globetrot/tom")
_WHO = st.sampled_from(range(len(_PEOPLE)))
_PAIRS = st.sampled_from([(0, 1), (1, 0)])


def test_every_verb_that_takes_a_viewer_is_tried() -> None:
    """A new one needs a probe, or a rule of the model."""
    assert verbs_with_viewer() == {*FILING_VERBS, *OFFER_VERBS, *BY_RULES}


def test_P6_by_no_verb_gets_a_user_at_what_is_not_shared_and_by_each_at_what_is(tmp_path: Path) -> None:
    irina, tom = (Viewer(operator="acme", users=(name,)) for name in ("irina", "tom"))
    with closing(Sql(SqlOptions(url=None), place=Folders(config=tmp_path, state=tmp_path))) as store:
        store.open()
        store.keep_users({"acme": ["irina", "tom"]})
        hand = Custodian.of(store, "own")
        filing = Kept(hand.file("1", make_raw(), make_filing("acme", user="irina")), "acme", "irina", "own")
        offer = Kept(hand.offer("2", user="irina"), "acme", "irina", "own")

        def reached(viewer: Viewer) -> dict[str, bool]:
            found = {name: probe(store, viewer, filing) for name, probe in FILING_VERBS.items()}
            return found | {name: probe(store, viewer, offer) for name, probe in OFFER_VERBS.items()}

        steps = (
            lambda: None,
            lambda: store.follow(tom, "own", followed=True),
            lambda: store.ask_share(tom, "own", owner="irina"),
            lambda: store.answer_share(irina, "own", user="tom", agree=False),
            lambda: store.answer_share(irina, "another", user="tom", agree=True),
            lambda: (
                store.answer_share(irina, "own", user="tom", agree=True)
                and store.answer_share(irina, "own", user="tom", agree=False)
            ),
        )
        for step in steps:
            step()
            assert not any(reached(tom).values()), reached(tom)
        store.answer_share(irina, "own", user="tom", agree=True)
        assert all(reached(tom).values()), reached(tom)


@dataclass(eq=False)
class Person:
    """A user, who has another name after a rename, and is another one after coming back."""

    operator: str
    name: str
    account: str
    is_here: bool = True
    #: Grows whenever the user comes back; what was entered before the first of these that is shown is withheld.
    stay: int = 0
    shown_from: int = 0


@dataclass(eq=False)
class Thing:
    """A filing or an offer; of nobody, or of a person."""

    id: int
    operator: str
    account: str
    is_filing: bool
    owner: Person | None = None
    stay: int = 0
    chosen: bool = False


@dataclass
class Model:
    people: list[Person]
    things: list[Thing] = field(default_factory=list)
    #: Owner and user, by number.
    asked: set[tuple[int, int]] = field(default_factory=set)
    agreed: set[tuple[int, int]] = field(default_factory=set)
    by_file: set[tuple[int, int]] = field(default_factory=set)

    def sees(self, viewer: int | None, operator: str, thing: Thing) -> bool:
        """Whether a person sees it, or the operator alone where ``viewer`` is None."""
        owner = thing.owner
        if thing.operator != operator or owner is None or viewer is None:
            return thing.operator == operator and owner is None
        number = self.people.index(owner)
        is_shown = owner.is_here and thing.stay >= owner.shown_from
        in_account = thing.account == owner.account and (number, viewer) in self.agreed | self.by_file
        return is_shown and (number == viewer or in_account)


class Tenancy(RuleBasedStateMachine):
    """Works on the store and the model alike."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        self.store = Sql(SqlOptions(url=None), place=Folders(config=folder, state=folder))
        self.store.open()
        self._stack.enter_context(closing(self.store))
        names = (one.partition("/") for one in _PEOPLE)
        people = [Person(operator, name, account=f"own-{number}") for number, (operator, _, name) in enumerate(names)]
        self.model = Model(people)
        self.numbers = iter(range(1, 10_000))

    def teardown(self) -> None:
        with self._stack:
            for operator in ("acme", "globetrot"):
                self._sees_what_is_theirs(None, Viewer(operator=operator))
                # Nobody has the old names any more.
                self._sees_what_is_theirs(None, Viewer(operator=operator, users=("nobody", "name-0")))

    # --- what there is ------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self._keep()
        for number in range(len(_PEOPLE)):
            self.brings(number)
        for is_filing in (True, False):
            self.general("acme", is_filing=is_filing)

    def _keep(self, *, unknown: tuple[str, ...] = ()) -> None:
        users: dict[str, list[str]] = {"acme": [], "globetrot": []}
        for one in self.model.people:
            users[one.operator] += [one.name] if one.is_here else []
        self.store.keep_users(users, unknown=unknown)

    def _viewer(self, number: int) -> Viewer:
        """A person, with what files share."""
        one, people = self.model.people[number], self.model.people
        shared = [(people[owner].account, people[owner].name) for owner, user in self.model.by_file if user == number]
        return Viewer(operator=one.operator, users=(one.name,), shared=tuple(sorted(shared)))

    def _enter(self, account: str, operator: str, owner: Person | None, *, is_filing: bool) -> None:
        hand, key = Custodian.of(self.store, account), next(self.numbers)
        user = owner.name if owner else None
        if is_filing:
            entry = hand.file(f"{key}", make_raw(key), make_filing(operator, user=user))
        else:
            entry = hand.offer(f"{key}", user=user, operators=[operator])
        self.store.release(hand.lease)
        thing = Thing(entry, operator, account, is_filing, owner, owner.stay if owner else 0)
        self.model.things.append(thing)

    def general(self, operator: str, *, is_filing: bool) -> None:
        self._enter("desk", operator, None, is_filing=is_filing)

    @rule(who=_WHO)
    def brings(self, who: int) -> None:
        one = self.model.people[who]
        for is_filing in (True, False) if one.is_here else ():
            self._enter(one.account, one.operator, one, is_filing=is_filing)

    # --- users --------------------------------------------------------------------------------------------------------

    @rule(who=_WHO, broken=st.booleans(), for_good=st.booleans())
    def leaves(self, who: int, *, broken: bool, for_good: bool) -> None:
        one = self.model.people[who]
        was, one.is_here = one.is_here, False
        if broken:
            # A file that is broken lets nobody leave.
            self._keep(unknown=(one.operator,))
            one.is_here = was
            return
        self._keep()
        if was:
            self.model.asked = {pair for pair in self.model.asked if who not in pair}
            self.model.agreed = {pair for pair in self.model.agreed if who not in pair}
        if not for_good:
            self.comes_back(who, with_old=False)

    @rule(who=_WHO, with_old=st.booleans())
    def comes_back(self, who: int, *, with_old: bool) -> None:
        """Come back, and bring something new; or be given what there was."""
        one = self.model.people[who]
        if not one.is_here:
            one.is_here, one.stay = True, one.stay + 1
            one.shown_from = one.stay
            self._keep()
            self.test_nobody_sees_more_or_less_than_is_theirs()
            self.brings(who)
        if not with_old:
            return
        given = self.store.give_old_mail(one.operator, one.name)
        assert given == (one.is_here and one.shown_from > 0)
        if one.is_here:
            one.shown_from = 0

    @rule(who=_WHO, account=st.booleans())
    def has_another_name(self, who: int, *, account: bool) -> None:
        one, new = self.model.people[who], f"name-{next(self.numbers)}"
        if account:
            self._has_another_account_name(one)
        elif one.is_here:
            rename(self.store, f"{one.operator}/{one.name}", f"{one.operator}/{new}", "user")
            one.name = new
            self._keep()

    def _has_another_account_name(self, one: Person) -> None:
        new = f"own-{next(self.numbers)}"
        rename(self.store, one.account, new)
        for thing in self.model.things:
            thing.account = new if thing.account == one.account else thing.account
        one.account = new

    # --- shares and subscriptions -------------------------------------------------------------------------------------

    @rule(pair=_PAIRS, what=st.sampled_from(["ask", "agree", "agree", "refuse", "by file", "not by file"]), times=st.integers(1, 2))
    def shares(self, pair: tuple[int, int], what: str, times: int) -> None:
        for _ in range(times):
            self._shares(pair, what)

    def _shares(self, pair: tuple[int, int], what: str) -> None:
        (owner, user), model = pair, self.model
        mine, other = model.people[owner], model.people[user]
        if "file" in what:
            model.by_file = model.by_file | {pair} if what == "by file" else model.by_file - {pair}
        elif not (mine.is_here and other.is_here):
            with pytest.raises(PermanentError, match="had left"):
                self._say(owner, user, what)
        else:
            before = (pair in model.asked, pair in model.agreed)
            assert self._say(owner, user, what) == (
                (what == "agree" and not before[1]) or (what == "ask" and not any(before)) or (what == "refuse" and any(before))
            )
            model.asked = model.asked | {pair} if what == "ask" and not before[1] else model.asked - {pair}
            model.agreed = {"agree": model.agreed | {pair}, "refuse": model.agreed - {pair}}.get(what, model.agreed)

    def _say(self, owner: int, user: int, what: str) -> bool:
        mine, other = self.model.people[owner], self.model.people[user]
        if what == "ask":
            return self.store.ask_share(self._viewer(user), mine.account, owner=mine.name)
        return self.store.answer_share(self._viewer(owner), mine.account, user=other.name, agree=what == "agree")

    @rule(who=_WHO, account=_WHO, followed=st.booleans())
    def follows(self, who: int, account: int, *, followed: bool) -> None:
        if self.model.people[who].is_here:
            self.store.follow(self._viewer(who), self.model.people[account].account, followed=followed)

    # --- what is seen -------------------------------------------------------------------------------------------------

    @rule(who=_WHO, which=st.integers(0, 1000), verb=st.sampled_from([*FILING_VERBS, *OFFER_VERBS]))
    def tries(self, who: int, which: int, verb: str) -> None:
        probes = FILING_VERBS if verb in FILING_VERBS else OFFER_VERBS
        things = [one for one in self.model.things if one.is_filing == (verb in FILING_VERBS)]
        thing, person = things[which % len(things)], self.model.people[who]
        owner = thing.owner.name if thing.owner else None
        expected = self.model.sees(who, person.operator, thing)
        if verb in {"choose", "dismiss"}:
            expected = expected and not thing.chosen
        if verb == "post" and person.operator != thing.operator:
            # Such a mail is another operator's, and links of this one are not its.
            return
        kept = Kept(thing.id, thing.operator, owner, thing.account)
        assert probes[verb](self.store, self._viewer(who), kept) == expected, verb
        if verb == "choose" and expected:
            thing.chosen = True
        if verb == "post" and (expected or owner in {None, person.name}):
            # Nobody sends a mail of another user.
            self._posted(thing)

    def _posted(self, thing: Thing) -> None:
        """The answer is its owner's as well, and came by no account of the owner's."""
        ours = Kept(0, thing.operator, thing.owner.name if thing.owner else None, "").ours
        (newest,) = self.store.filings(ours, Query(limit=1))
        stay = thing.owner.stay if thing.owner else 0
        self.model.things.append(Thing(newest.id, thing.operator, "out", is_filing=True, owner=thing.owner, stay=stay))

    @invariant()
    def test_nobody_sees_more_or_less_than_is_theirs(self) -> None:
        for number in range(len(_PEOPLE)):
            self._sees_what_is_theirs(number, self._viewer(number))

    def _sees_what_is_theirs(self, number: int | None, viewer: Viewer) -> None:
        theirs = {one.id for one in self.model.things if self.model.sees(number, viewer.operator, one)}
        seen = {one.id for one in self.store.filings(viewer, Query(limit=10_000))}
        for account in {one.account for one in self.model.things if not one.is_filing}:
            seen |= {one.id for one in self.store.offers(viewer, OfferQuery(account=account, limit=10_000))}
        assert seen == theirs, viewer


#: A sequence takes seconds, so it is told as it was found.
_LONG = settings(phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))


def test_P6_no_sequence_shows_anybody_what_is_not_theirs() -> None:
    run_state_machine_as_test(Tenancy, settings=settings(_LONG, max_examples=8, stateful_step_count=50))


@pytest.mark.campaign
def test_P6_no_long_sequence_shows_anybody_what_is_not_theirs() -> None:
    run_state_machine_as_test(Tenancy, settings=settings(_LONG, max_examples=400, stateful_step_count=60))
