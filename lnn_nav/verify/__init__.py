"""Assertions on a pilot's safety, for anybody's own tests on anybody's own pilot.

    from lnn_nav.verify import Suite, assert_no_contact, assert_reaches, assert_within_limits

    def test_my_pilot():
        suite = Suite("mixed", first_seed=1_000_000, missions=20)
        assert_within_limits(my_pilot, suite)
        assert_no_contact(my_pilot, suite)
        assert_reaches(my_pilot, suite, at_least=0.95)

A pilot is anything with the `sim.flight.Pilot` protocol. The three share the flights of a suite.
"""

from lnn_nav.verify.assertions import assert_no_contact as assert_no_contact
from lnn_nav.verify.assertions import assert_reaches as assert_reaches
from lnn_nav.verify.assertions import assert_survives_faults as assert_survives_faults
from lnn_nav.verify.assertions import assert_within_limits as assert_within_limits
from lnn_nav.verify.bits import BitsReport as BitsReport
from lnn_nav.verify.bits import fly_bits as fly_bits
from lnn_nav.verify.faults import FAULTS as FAULTS
from lnn_nav.verify.faults import Fault as Fault
from lnn_nav.verify.faults import Faulty as Faulty
from lnn_nav.verify.suite import Flown as Flown
from lnn_nav.verify.suite import Incident as Incident
from lnn_nav.verify.suite import Report as Report
from lnn_nav.verify.suite import Suite as Suite
from lnn_nav.verify.suite import fly_suite as fly_suite
