"""Campaigns in parts: shards, resumed ones, missions that take too long, other machines."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter

import flying
import pytest
from test_sim_campaign import MISSIONS, TERMS, bits

from sim.campaign import (
    DIED,
    OVERDUE,
    Logbook,
    LogbookError,
    Result,
    Terms,
    run,
    run_campaign,
    shard,
)
from sim.campaign.schedule import fly_all
from sim.campaign.worker import Worker

ABOUT = {"pilot": "plain", **TERMS.to_dict()}


class InHouse:
    """Workers of this very process: what flies is real, the wait is not."""

    def __init__(self, factory, terms):
        self.worker, self.flown = Worker(factory, terms), []

    def hire(self):
        return self.worker

    def give(self, worker, mission):
        self.flown.append(mission)
        return len(self.flown) - 1

    def ready(self, tickets, timeout):
        return tickets[:1]

    def take(self, ticket):
        return self.worker.fly(self.flown[ticket])

    def dismiss(self, worker):
        pass


@pytest.fixture
def house(monkeypatch):
    """Campaigns are flown in here."""
    made = InHouse(flying.plain, TERMS)
    monkeypatch.setattr(run, "_workplace", lambda *_: made)
    return made


def campaign(missions, logbook):
    return run_campaign(missions, flying.plain, TERMS, logbook=logbook)


def test_shards_share_a_campaign_out():
    missions = [(family, seed) for family in ("forest", "walls") for seed in range(10)]
    for count in (1, 2, 3, 7):
        parts = [shard(missions, index, count) for index in range(1, count + 1)]
        assert Counter(sum(parts, [])) == Counter(missions)
        for family in ("forest", "walls"):
            sizes = [sum(name == family for name, _ in part) for part in parts]
            assert max(sizes) - min(sizes) <= 1
    for index, count in ((0, 2), (3, 2), (1, 0)):
        with pytest.raises(ValueError, match=f"shard: .* got {index}/{count}"):
            shard(missions, index, count)


def test_a_campaign_goes_on_where_it_was_cut_off(house, tmp_path):
    expected = [bits(result) for result in campaign(MISSIONS, None)]
    house.flown.clear()
    campaign(MISSIONS[:2], Logbook(tmp_path, ABOUT))
    assert house.flown == MISSIONS[:2]
    path = tmp_path / "all.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])  # killed while the second line was being written
    house.flown.clear()
    results = campaign(MISSIONS, Logbook(tmp_path, ABOUT))
    assert house.flown == MISSIONS[1:]
    assert [bits(result) for result in results] == expected
    house.flown.clear()
    again = campaign(MISSIONS, Logbook(tmp_path, ABOUT))
    assert house.flown == [] and again == results
    assert path.read_bytes().splitlines()[:2] == whole.splitlines()[:2]


def test_parts_fill_one_folder_and_the_whole_is_read_from_it(house, tmp_path):
    for index in (1, 2):
        logbook = Logbook(tmp_path, ABOUT, f"shard-{index}-of-2")
        part = campaign(shard(MISSIONS, index, 2), logbook)
        assert [(result.family, result.seed) for result in part] == shard(MISSIONS, index, 2)
    house.flown.clear()
    whole = campaign(MISSIONS, Logbook(tmp_path, ABOUT))
    assert house.flown == [] and [(r.family, r.seed) for r in whole] == MISSIONS


def test_what_could_not_be_flown_is_written_down_and_tried_again(house, tmp_path, monkeypatch):
    monkeypatch.setattr(InHouse, "take", lambda *_: DIED)
    lost = campaign(MISSIONS[:1], Logbook(tmp_path, ABOUT))
    assert lost == [Result(*MISSIONS[0], None, DIED)]
    row = json.loads((tmp_path / "all.jsonl").read_text().splitlines()[1])
    assert (row["reason"], row["speed"]) == (DIED, "nan")
    monkeypatch.undo()
    fresh = InHouse(flying.plain, TERMS)
    monkeypatch.setattr(run, "_workplace", lambda *_: fresh)
    assert campaign(MISSIONS[:1], Logbook(tmp_path, ABOUT))[0].verdict is not None


def test_another_campaign_s_logbook_is_refused(house, tmp_path):
    campaign(MISSIONS[:1], Logbook(tmp_path, ABOUT))
    with pytest.raises(LogbookError, match="expected this campaign, got one with speed None"):
        campaign(MISSIONS, Logbook(tmp_path, ABOUT | {"speed": 2.0}, "other"))
    (tmp_path / "other.jsonl").unlink()
    with Logbook(tmp_path, ABOUT), pytest.raises(LogbookError, match="nobody to write it now"):
        campaign(MISSIONS, Logbook(tmp_path, ABOUT))
    path = tmp_path / "all.jsonl"
    whole = path.read_text()
    for damaged, message in (
        (whole.replace('"seed":', '"sead":', 1), "line 2: expected a result"),
        (whole.replace('"verdict": {', '"verdict": [', 1), "line 2: expected JSON"),
        ("[]\n", "expected lnn-nav/logbook version 1"),
    ):
        path.write_text(damaged)
        with pytest.raises(LogbookError, match=message):
            campaign(MISSIONS, Logbook(tmp_path, ABOUT))


class Clockwork(InHouse):
    """Missions take as many tenths of a second as their seed says; seed 3 kills its worker."""

    def __init__(self):
        self.began, self.dismissed, self.hired = {}, [], 0

    def hire(self):
        self.hired += 1
        return self.hired

    def give(self, worker, mission):
        self.began[worker, mission] = time.monotonic()
        return worker, mission

    def ready(self, tickets, timeout):
        end = time.monotonic() + (timeout if timeout is not None else 10)
        while True:
            done = [t for t in tickets if time.monotonic() >= self.began[t] + t[1][1] / 10]
            if done or time.monotonic() >= end:
                return done
            time.sleep(0.005)

    def take(self, ticket):
        return DIED if ticket[1][1] == 3 else Result(*ticket[1], None, "flown")

    def dismiss(self, worker):
        self.dismissed.append(worker)


def test_a_mission_that_takes_too_long_costs_no_other_mission():
    missions = [("a", 1), ("a", 90), ("a", 3), ("a", 2), ("a", 80), ("a", 1)]
    for width in (1, 2, 9):
        clockwork = Clockwork()
        results = dict(fly_all(clockwork, missions, width, deadline=0.6))
        reasons = [results[index].reason for index in range(len(missions))]
        late = f"{OVERDUE} of 0.6 s"
        assert reasons == ["flown", late, DIED, "flown", late, "flown"]
        assert [results[index].seed for index in range(6)] == [seed for _, seed in missions]
        assert Counter(clockwork.dismissed) == Counter(range(1, clockwork.hired + 1))
        assert clockwork.hired <= width + 3


def test_a_worker_that_hangs_is_ended():
    began = time.monotonic()
    terms = Terms(engine="twin", world=flying.open_world())
    (result,) = run_campaign([("mine", 1)], flying.asleep, terms, deadline=4.0)
    assert result.verdict is None and result.reason == f"{OVERDUE} of 4 s"
    assert time.monotonic() - began < 60 and not multiprocessing.active_children()
    with pytest.raises(ValueError, match="deadline: expected a finite time above 0 s, got 0.0"):
        run_campaign([("mine", 1)], flying.asleep, terms, deadline=0.0)
    with pytest.raises(ValueError, match="backend: expected one of processes, ray, got 'cloud'"):
        run_campaign([("mine", 1)], flying.asleep, terms, backend="cloud")


def test_a_cluster_flies_the_same_bits():
    pytest.importorskip("ray")
    expected = [bits(result) for result in run_campaign(MISSIONS, flying.plain, TERMS)]
    results = run_campaign(MISSIONS, flying.plain, TERMS, processes=2, backend="ray")
    assert [bits(result) for result in results] == expected
    died = run_campaign([MISSIONS[0]], flying.frail_at_home, TERMS, backend="ray", deadline=300.0)
    assert died == [Result(*MISSIONS[0], None, DIED)]
