"""The tests of the example: what every matcher promises, and what this one is for."""

from gatewayd_vouchers import Vouchers

from gatewayd import Link, Operator, Rivals
from gatewayd.testing import FakeDirectory, make_mail, make_record
from gatewayd.testing.contracts.matching import MatcherContract

ROME = make_record("reservation", "R1", code="12345678", title="Rome")
OSLO = make_record("reservation", "R2", code="87654321", title="Oslo")
OSLO_TOO = make_record("reservation", "R3", code="87654321", title="Oslo, the children")


class TestVouchersContract(MatcherContract):
    """Every promise of a matcher."""

    matcher = Vouchers
    records = (ROME, OSLO, OSLO_TOO)
    mails = (make_mail(subject="Voucher V12345678"), make_mail(subject="V87654321 and V11111111"), make_mail(subject="Hello"))


def test_a_voucher_of_one_reservation_is_linked() -> None:
    matcher = Vouchers(Vouchers.Options(), operator=Operator(name="acme"))
    mail = make_mail(subject="Re: V12345678", mail_id=7)
    assert list(matcher.match([mail], FakeDirectory([ROME]))) == [Link(7, ROME, "voucher 12345678 in the subject")]


def test_a_voucher_of_several_reservations_is_left_to_a_person() -> None:
    matcher = Vouchers(Vouchers.Options(), operator=Operator(name="acme"))
    (found,) = matcher.match([make_mail(subject="V87654321")], FakeDirectory([OSLO, OSLO_TOO]))
    assert found == Rivals(1, (OSLO, OSLO_TOO), "voucher 87654321 in the subject")


def test_the_number_of_digits_is_an_option() -> None:
    short = make_record("reservation", "R4", code="123")
    matcher = Vouchers(Vouchers.Options(digits=3), operator=Operator(name="acme"))
    assert [type(f) for f in matcher.match([make_mail(subject="V123 V12345678")], FakeDirectory([short, ROME]))] == [Link]
