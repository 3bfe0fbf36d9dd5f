"""Rules send mail on once for each target, for new mail only, and never in a circle (P7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import (
    Bounce,
    Delivery,
    Filed,
    Filing,
    Follows,
    Forwarder,
    Listed,
    Query,
    Spool,
    Viewer,
    Waiting,
)
from gatewayd.config import AccountConfig, Config, ImportConfig, LimitsConfig, OperatorConfig, SendConfig, TargetConfig
from gatewayd.config.models.operator import RuleConditions
from gatewayd.config.rules import Rule
from gatewayd.importing.backfilling import Backfill, file_old
from gatewayd.importing.fetching import Batch, fetch
from gatewayd.importing.outcomes import AccountRouting, match_request, outcomes
from gatewayd.importing.rematch import retry
from gatewayd.matching import LocalMatching
from gatewayd.message.mail import BytesSource, parse
from gatewayd.message.message_ids import HOP, Signer
from gatewayd.outgoing.routing import Rate, Router
from gatewayd.runtime.events import Events
from gatewayd.testing import make_mail
from gatewayd.testing.contracts.custodian import make_raw
from gatewayd_threads.matcher import Threads
from tests.unit.kernel import BOOKING, Gateway, directory, links_all, matcher, registry, spec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gatewayd import Directory, Finding, Mail, Record

SIGNER = Signer(b"k" * 32)
FILING = Filing(operator="acme", user=None)
ACME = Viewer(operator="acme")
DUTY = TargetConfig(name="duty", kind="smtp", account="out", to=("duty@example.org", "two@example.org"), mode="inline")
DESK = TargetConfig(name="desk", kind="smtp", account="out", to=("desk@example.org",))
CRM = TargetConfig(name="crm", kind="webhook", options=Forwarder.Options())


def rule(number: int, *targets: str, **when: Any) -> Rule:
    return Rule(number=number, where=f"operators/acme.yaml:{number}", targets=targets, when=RuleConditions.model_construct(**when))


def config(*rules: Rule, limit: int = 1000) -> Config:
    sends = SendConfig.model_validate({"from": {"name": "Acme", "address": "out@Example.com"}})
    return Config(
        folder=Path(),
        state=Path(),
        store_kind="sql",
        store_options=Forwarder.Options(),
        registry=registry(),
        operators={
            "acme": OperatorConfig(name="acme", targets={one.name: one for one in (DUTY, DESK, CRM)}, rules=rules),
            "globetrot": OperatorConfig(name="globetrot"),
        },
        accounts={"out": AccountConfig(name="out", kind="smtp", operators=("acme",), options=Forwarder.Options(), sends=sends)},
        limits=LimitsConfig(forwards_per_hour=limit),
    )


Heir = tuple[str, str | None, str]


def nothing(_wanted: Collection[Heir]) -> Mapping[Heir, Sequence[Record]]:
    """A store in which nothing can be inherited."""
    return {}


class Heritage:
    """A store of which only what can be inherited matters: of the mail of that Message-ID, by everybody of ``acme``."""

    def __init__(self, message_id: str, *records: Record) -> None:
        self._message_id, self._records = message_id, records
        self.asked: list[Collection[Heir]] = []

    def __call__(self, wanted: Collection[Heir]) -> Mapping[Heir, Sequence[Record]]:
        self.asked.append(wanted)
        return {one: self._records for one in wanted if (one[0], one[2]) == ("acme", self._message_id)}


def router(*rules: Rule, limit: int = 1000) -> Router:
    return Router(config(*rules, limit=limit), SIGNER, nothing)


def mail(*lines: str, mail_id: int = 1) -> Mail:
    head = "\r\n".join(("From: anna@example.com", f"Message-ID: <{mail_id}@example.com>", "Subject: Booking", *lines))
    return parse(BytesSource(f"{head}\r\n\r\nHello\r\n".encode()), mail_id=mail_id)


def sent(which: Router, message: Mail | None = None, filing: Filing = FILING, *, fire: bool = True) -> Sequence[Delivery]:
    return routed(which, message or mail(), filing, fire=fire).deliveries


def routed(which: Router, message: Mail, filing: Filing = FILING, *, fire: bool = True) -> Filing:
    ((mail_id, found),) = which.routed("main", [(message, filing)], fire={message.id} if fire else set())
    assert mail_id == message.id
    return found


# --- which rules fire -----------------------------------------------------------------------------------------------------


def test_a_rule_that_fits_makes_a_delivery_for_each_of_its_targets() -> None:
    duty, crm = sent(router(rule(1, "duty", "crm")))
    assert duty == Delivery(
        forwarder="smtp",
        account="out",
        target="duty",
        to=("duty@example.org", "two@example.org"),
        mode="inline",
        cause="rule 1",
        message_id=duty.message_id,
    )
    assert (crm.forwarder, crm.account, crm.target, crm.to, crm.withheld) == ("webhook", "", "crm", ("crm",), "")
    assert duty.message_id.endswith("@example.com>")
    assert crm.message_id.endswith("@gatewayd.invalid>")
    assert [SIGNER.purpose(one.message_id) for one in (duty, crm)] == ["forward", "forward"]


def test_every_rule_that_fits_fires_and_no_other() -> None:
    which = router(
        rule(1, "duty", subject="nothing"), rule(2, "desk"), rule(3, "crm", accounts=("main",)), rule(4, "duty", unlinked=True)
    )
    assert [(one.target, one.cause) for one in sent(which)] == [("desk", "rule 2"), ("crm", "rule 3"), ("duty", "rule 4")]


def test_a_target_that_several_rules_name_gets_the_mail_once() -> None:
    which = router(rule(1, "duty"), rule(2, "duty", "desk"), rule(3, "desk", "duty"))
    assert [(one.target, one.cause) for one in sent(which)] == [("duty", "rule 1"), ("desk", "rule 2")]


def test_of_several_rules_the_first_that_lets_the_mail_go_sends_it() -> None:
    which = router(rule(1, "duty"), rule(2, "duty", automatic=True), rule(3, "duty", automatic=True))
    assert [(one.cause, one.withheld) for one in sent(which, mail("Precedence: bulk"))] == [("rule 2", "")]
    assert [one.cause for one in sent(which)] == ["rule 1"]
    (withheld,) = sent(which, mail("Auto-Submitted: auto-replied"))
    assert withheld.cause == "rule 1"
    assert "robot" in withheld.withheld


def test_nothing_goes_on_without_a_rule() -> None:
    assert sent(router()) == ()
    assert sent(router(rule(1, "duty")), filing=replace(FILING, operator="globetrot")) == ()
    assert sent(router(rule(1, "duty")), filing=replace(FILING, operator="gone")) == ()
    assert routed(router(rule(1, "duty", subject="x")), mail()) is FILING, "nothing is made anew for nothing"


def test_an_account_that_can_not_run_now_does_not_lose_the_delivery() -> None:
    broken = Router(replace(config(rule(1, "duty")), accounts={}), SIGNER, nothing)
    (one,) = sent(broken)
    assert (one.account, one.withheld, SIGNER.purpose(one.message_id)) == ("out", "", "forward")


# --- circles and robots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"{HOP}: OURS\r\nResent-Message-ID: OURS",
        "In-Reply-To: OURS",
        "Auto-Submitted: auto-replied",
        "Content-Type: multipart/report; boundary=x",
        "References: OURS\r\nPrecedence: bulk",
    ],
)
def test_P7_what_would_go_in_a_circle_is_withheld_from_people_and_told_to_programs(line: str) -> None:
    line = line.replace("OURS", SIGNER.message_id("forward", "example.com"))
    found = {one.target: one for one in sent(router(rule(1, "duty", "crm")), mail(line))}
    assert found["duty"].withheld
    assert found["duty"].to == DUTY.to, "a person may let it go"
    assert found["crm"].withheld == ""


@pytest.mark.parametrize("line", ["Precedence: bulk", "Auto-Submitted: auto-generated", "List-Id: <news.example.com>"])
def test_what_programs_send_does_not_fit_a_rule_for_people_that_does_not_ask_for_it(line: str) -> None:
    which = router(rule(1, "duty", "crm"), rule(2, "duty", "desk"), rule(3, "desk", automatic=True))
    assert [(one.target, one.cause, one.withheld) for one in sent(which, mail(line))] == [
        ("crm", "rule 1", ""),
        ("desk", "rule 3", ""),
    ]


@pytest.mark.parametrize("address", ["DUTY@example.org", "two@xn--mller-kva.example", "three@M\u00fcller.example"])
def test_P7_what_a_target_wrote_itself_goes_to_it_a_few_times_however_its_domain_is_spelt(address: str) -> None:
    known = config(rule(1, "duty"))
    target = replace(DUTY, to=("duty@example.org", "two@m\u00fcller.example", "three@xn--mller-kva.example"))
    which = Router(replace(known, operators={"acme": replace(known.operators["acme"], targets={"duty": target})}), SIGNER, nothing)
    head = f"From: {address}\r\nSubject: Booking\r\n"
    letters = [
        parse(BytesSource(f"{head}Message-ID: <{number}@x.de>\r\n\r\nHi\r\n".encode()), mail_id=number) for number in range(1, 20)
    ]
    assert sum(not one.withheld for letter in letters for one in sent(which, letter)) == 5


def test_P7_two_gatewayds_that_forward_to_each_other_stop_after_one_round() -> None:
    other_signer = Signer(b"x" * 32)
    ours, other = router(rule(1, "duty")), Router(config(rule(1, "duty")), other_signer, nothing)
    (first,) = sent(ours)
    # The other one gets ours with our hop, and its own forward carries both.
    resent = f"{HOP}: {first.message_id}", f"Resent-Message-ID: {first.message_id}"
    (second,) = sent(other, mail(*resent))
    assert (first.withheld, second.withheld) == ("", "")
    (back,) = sent(ours, mail(f"{HOP}: {second.message_id}", f"Resent-Message-ID: {second.message_id}", *resent))
    assert "circle" in back.withheld


def test_P7_more_than_the_rate_is_withheld_and_shown_also_from_programs() -> None:
    rate = Rate(2)
    which = Router(config(rule(1, "duty"), rule(2, "crm"), limit=2), SIGNER, nothing, rate)
    passed = [[bool(one.withheld) for one in sent(which, mail(mail_id=number))] for number in range(4)]
    assert passed == [[False, False], [False, False], [True, True], [True, True]]
    assert rate.open() == ("acme/crm", "acme/duty")
    (last, _) = sent(which)
    assert last.withheld == "rules have sent 2 mails to duty within an hour, and no more are let through (forwards_per_hour)"


def test_what_is_withheld_does_not_count() -> None:
    which = router(rule(1, "duty"), limit=1)
    assert [bool(sent(which, mail("Auto-Submitted: auto-replied"))[0].withheld) for _ in range(3)] == [True] * 3
    assert sent(which)[0].withheld == ""


def test_the_rate_is_that_of_an_hour_for_each_target() -> None:
    now = [0.0]
    rate = Rate(2, clock=lambda: now[0])

    def tripped(target: str = "duty", operator: str = "acme") -> bool:
        return bool(rate.refusal(operator, target))

    assert [tripped(), tripped("desk"), tripped(operator="globetrot")] == [False] * 3
    now[0] = 1800.0
    assert [tripped(), tripped(), rate.open()] == [False, True, ("acme/duty",)]
    now[0] = 3599.0
    assert [tripped(), rate.open()] == [True, ("acme/duty",)]
    now[0] = 3600.0
    assert [rate.open(), tripped(), tripped(), rate.open()] == [(), False, True, ("acme/duty",)]
    now[0] = 5400.0
    assert [tripped(), tripped("desk"), tripped("desk"), tripped("desk")] == [False, False, False, True]


def test_a_rate_of_nothing_lets_nothing_go() -> None:
    assert Rate(0).refusal("acme", "duty")


def test_P7_threads_together_never_get_more_than_the_rate() -> None:
    rate = Rate(500)
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(lambda _: bool(rate.refusal("acme", "duty")), range(4000)))
    assert refused.count(False) == 500


# --- what it follows, and bounces -----------------------------------------------------------------------------------------


def test_P7_only_mail_of_ours_is_followed_under_the_id_that_we_gave_it() -> None:
    made = SIGNER.message_id("mail", "example.com")
    said = [
        made,
        made.upper().strip("<>"),
        SIGNER.message_id("forward", "example.com"),
        Signer(b"x" * 32).message_id("mail", "example.com"),
        "<1@example.com>",
    ]
    filing = replace(FILING, follows=tuple(("threads", Follows(1, one, "it answers it")) for one in said))
    for fire in (False, True):
        assert routed(router(), mail(), filing, fire=fire).follows == (("threads", Follows(1, made, "it answers it")),) * 2


def test_the_links_that_an_answer_will_inherit_count_for_rules() -> None:
    made = SIGNER.message_id("mail", "example.com")
    heritage = Heritage(made, BOOKING)
    rules = rule(1, "duty", linked=("reservation",)), rule(2, "desk", unlinked=True), rule(3, "crm", linked=("customer",))
    which = Router(config(*rules), SIGNER, heritage)

    def filing(message_id: str, **changed: Any) -> Filing:
        return replace(FILING, follows=(("threads", Follows(1, message_id, "it answers it")),), **changed)

    answer = routed(which, mail(), filing(made.upper()))
    assert [one.target for one in answer.deliveries] == ["duty"]
    assert answer.links == (), "the store does it"
    assert [one.target for one in sent(which, filing=filing("<forged@example.com>"))] == ["desk"]
    assert len(heritage.asked) == 1
    batch = [(mail(mail_id=number), filing(made, user=user)) for number in range(4) for user in (None, "irina")]
    assert [len(one.deliveries) for _, one in which.routed("main", batch, fire={1, 2})] == [
        0,
        0,
        1,
        0,
        1,
        0,
        0,
        0,
    ]  # personal mail is not taken
    assert heritage.asked[1:] == [{("acme", None, made), ("acme", "irina", made)}], "once for all of a batch"
    which.routed("main", [(mail(), filing(made, operator="globetrot")), (mail(mail_id=2), filing(made))], fire={1})
    assert len(heritage.asked) == 2, "not where there are no rules, or none fire"
    found = [(one.number, one.fires, one.because) for one in which.explain("acme", "main", mail(), filing(made))]
    assert found == [
        (1, True, ""),
        (2, False, "linked to reservation, expected to be linked to nothing"),
        (3, False, "linked to reservation, not to customer"),
    ]
    assert heritage.asked[2:] == [{("acme", None, made)}]


def test_P6_explain_lets_a_mail_inherit_what_the_user_of_its_account_may() -> None:
    made = SIGNER.message_id("mail", "example.com")
    heritage = Heritage(made)
    personal = AccountConfig(name="irina", kind="imap", operators=("acme",), user="irina", options=Forwarder.Options())
    operators = {name: replace(config(rule(1, "duty")).operators["acme"], name=name) for name in ("acme", "globetrot")}
    which = Router(replace(config(), operators=operators, accounts={"irina": personal}), SIGNER, heritage)
    filing = replace(FILING, follows=(("threads", Follows(1, made, "it answers it")),))
    for operator, account in (("acme", "irina"), ("acme", "main"), ("globetrot", "irina")):
        which.explain(operator, account, mail(), replace(filing, operator=operator))
    assert heritage.asked == [{("acme", "irina", made)}, {("acme", None, made)}, {("globetrot", None, made)}]


def test_a_bounce_is_that_of_the_delivery() -> None:
    made = SIGNER.message_id("forward", "example.com")
    raw = (
        "From: MAILER-DAEMON@example.org\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
        f"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b\nAction: failed\n\n--b\nContent-Type: message/rfc822\n\nMessage-ID: {made}\n\n--b--"
    )
    found = router().bounce(parse(BytesSource(raw.encode())))
    assert isinstance(found, Bounce)
    assert found.message_id == made
    assert router().bounce(mail()) is None


# --- explained ------------------------------------------------------------------------------------------------------------


def test_explain_says_of_every_rule_whether_it_fires_and_why_not() -> None:
    which = router(
        rule(1, "duty", subject="urgent"), rule(2, "duty", "crm"), rule(3, "duty", automatic=True), rule(4, "duty"), limit=1
    )
    for _ in range(3):
        rulings = which.explain("acme", "main", mail("Precedence: bulk"), FILING)
    assert [(one.number, one.where, one.targets, one.fires) for one in rulings] == [
        (1, "operators/acme.yaml:1", ("duty",), False),
        (2, "operators/acme.yaml:2", ("duty", "crm"), True),
        (3, "operators/acme.yaml:3", ("duty",), True),
        (4, "operators/acme.yaml:4", ("duty",), False),
    ]
    assert rulings[0].because == "subject does not match 'urgent'"
    assert rulings[1].because == "not to duty: it went to many (Precedence: bulk), and the rule does not say `automatic: true`"
    assert rulings[2].because == ""
    assert rulings[3].because.startswith("not to duty: it went to many")
    rulings = which.explain("acme", "main", mail("Auto-Submitted: auto-replied"), FILING)
    assert [(one.fires, one.because.partition(":")[0]) for one in rulings[1:]] == [
        (True, "withheld from duty"),
        (False, "withheld from duty"),
        (False, "withheld from duty"),
    ]
    assert sent(which)[0].withheld == "", "explaining counts nothing"
    assert which.explain("gone", "main", mail(), FILING) == []


# --- in a batch, and again ------------------------------------------------------------------------------------------------


def batch(folder: Path, number: int, *, backlog: bool) -> tuple[Batch, Any]:
    class Session:
        def fetch(self, _folder: str, listed: Sequence[Listed], spool: Spool) -> Any:
            return (spool.put(one.key, [make_raw(int(one.key))]) for one in listed)

    asked = [Waiting(entry_id=one, listed=Listed(str(one)), backlog=backlog, tries=0) for one in range(1, number + 1)]
    fetched = fetch(Session(), "INBOX", asked, Spool(folder / "spool"))  # type: ignore[arg-type]
    matching = LocalMatching(registry())
    return fetched, matching.begin(match_request(fetched, [spec("acme")], ImportConfig())).result(lambda: None)


def fired(folder: Path, number: int, routing: AccountRouting, *, backlog: bool) -> int:
    fetched, matched = batch(folder, number, backlog=backlog)
    with fetched.spool:
        done = outcomes(fetched, matched, ImportConfig(), None, routing=routing)
    assert len(done) == number
    assert all(isinstance(one, Filed) for one in done)
    return sum(len(filing.deliveries) for one in done if isinstance(one, Filed) for filing in one.filings)


def test_P7_ten_thousand_old_mails_with_a_rule_that_fits_all_fire_nothing(tmp_path: Path) -> None:
    which = router(rule(1, "duty", "crm"), limit=100_000)
    assert fired(tmp_path, 10_000, AccountRouting(account="main", router=which), backlog=True) == 0


def test_rules_fire_for_new_mail_and_for_old_mail_that_a_person_wants_sent_on(tmp_path: Path) -> None:
    which = router(rule(1, "duty", "crm"))
    assert fired(tmp_path, 3, AccountRouting(account="main", router=which), backlog=False) == 6
    assert fired(tmp_path, 3, AccountRouting(account="main", router=which, forward=True), backlog=True) == 6
    assert fired(tmp_path, 3, AccountRouting(account="main"), backlog=False) == 0


def test_what_may_stand_in_for_a_message_takes_nothing_of_what_a_target_gets_in_an_hour(tmp_path: Path) -> None:
    which = router(rule(1, "duty"), limit=1)
    fetched, matched = batch(tmp_path, 2, backlog=False)
    with fetched.spool:
        done = outcomes(
            replace(fetched, unlike={"1": 9}), matched, ImportConfig(), None, routing=AccountRouting(account="main", router=which)
        )
    filed = [one for one in done if isinstance(one, Filed)]
    assert [(one.key, [each.withheld for filing in one.filings for each in filing.deliveries]) for one in filed] == [("2", [""])]


class Answers(Threads):
    """The matcher, on mails that all answer the same mail."""

    made = SIGNER.message_id("mail", "example.com")

    def match(self, mails: Sequence[Mail], directory: Directory) -> Any:  # noqa: ARG002
        for one in mails:
            yield Follows(one.id, self.made, "said so")
            yield Follows(one.id, "<forged@example.com>", "said so")


def test_findings_bring_what_a_mail_follows_into_its_filing(tmp_path: Path) -> None:
    fetched, _ = batch(tmp_path, 2, backlog=False)
    matching = LocalMatching(registry(Answers))
    with fetched.spool:
        matched = matching.begin(match_request(fetched, [spec("acme", "threads")], ImportConfig())).result(lambda: None)
        assert [len(found.follows) for found in matched.results] == [4]
        for which, follows in ((router(), 1), (None, 0)):
            done = outcomes(fetched, matched, ImportConfig(), None, routing=AccountRouting(account="main", router=which))
            assert [len(one.filings[0].follows) for one in done if isinstance(one, Filed)] == [follows] * 2


@pytest.mark.parametrize("garbled", [(1, b"<1@example.com>", "x"), (1, "<1@example.com>", 7), (2, "<1@example.com>", "x")])
def test_a_garbled_follows_is_the_matchers_fault(garbled: Any) -> None:
    def say(_mails: Sequence[Mail], _directory: Directory) -> Sequence[Finding]:
        return [Follows(*garbled)]

    matching = LocalMatching(registry(matcher("odd", say)))
    said = matching.operator(spec("acme", "odd")).match("odd", [make_mail(mail_id=1)])
    assert said.found == ()
    assert [(fault.by, mail_id) for mail_id, fault in said.faults] == [("odd", 1)]


class Temper:
    cross = True

    def match(self, mails: Sequence[Mail], known: Directory) -> Sequence[Finding]:
        if self.cross:
            raise ValueError("too cross to match")
        return list(links_all(mails, known))


class Remembering:
    """A store of which only what is written matters."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.written: list[Filing] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def refile(self, viewer: Viewer, filings: Sequence[tuple[int, Filing]]) -> None:
        self.written += [filing for _, filing in filings]
        self._store.refile(viewer, filings)

    def add_filings(self, _lease: Any, filings: Sequence[tuple[int, Filing]]) -> Sequence[tuple[int, Filing]]:
        self.written += [filing for _, filing in filings]
        return filings


@pytest.mark.parametrize("fire", [False, True])
def test_a_retried_mail_goes_on_only_where_a_person_asks_for_it(tmp_path: Path, *, fire: bool) -> None:
    temper = Temper()
    known = spec("acme", "moody", known=True)
    with Gateway(tmp_path, plugins=[matcher("moody", temper.match), directory([BOOKING])], specs=[known]) as gateway:
        for number in range(3):
            gateway.transport.deliver(make_raw(number))
        gateway.good()
        temper.cross = False
        which = router(rule(1, "desk", linked=("reservation",), accounts=("main",)))
        store: Any = Remembering(gateway.store)
        list(retry(store, gateway.matching, known, ACME, Query(), router=which, fire=fire))
    assert [len(one.deliveries) for one in store.written] == [int(fire)] * 3


@pytest.mark.parametrize("fire", [False, True])
def test_old_mail_for_a_later_operator_goes_on_only_where_a_person_asks_for_it(tmp_path: Path, *, fire: bool) -> None:
    operators = {"later": replace(config(rule(1, "desk")).operators["acme"], name="later")}
    which = Router(replace(config(), operators=operators), SIGNER, nothing)
    with Gateway(tmp_path) as gateway:
        for number in range(3):
            gateway.transport.deliver(make_raw(number))
        gateway.good()
        store: Any = Remembering(gateway.store)
        lease: Any = gateway.store.take_lease("main", "x", dead=lambda _: False)
        routing = AccountRouting(account="main", router=which, forward=fire)
        backfill = Backfill(
            store=store,
            matching=gateway.matching,
            spec=spec("later"),
            lease=lease,
            imports=ImportConfig(),
            user=None,
            routing=routing,
            events=Events(),
            keep_alive=lambda: None,
        )
        assert next(file_old(backfill)) == 3
    assert [len(one.deliveries) for one in store.written] == [int(fire)] * 3
