"""A page of a large search draws and lists a stated part of it, and of a small one everything."""

from __future__ import annotations

import json
import random
import re

import pytest

from mindgap.report.document import write_report
from mindgap.report.estimate import Estimate, count
from mindgap.report.front import candidates, draw_front, drawn_points
from mindgap.report.search_progress import draw_progress
from mindgap.report.thinning import MOST_DRAWN, MOST_LISTED, listed, special_slots, thinned


def made_search(n: int) -> dict:
    drawn = random.Random(0)
    trials = [
        {
            "slot": slot, "state": "complete", "reward": drawn.random(), "accuracy": drawn.random(),
            "unfairness": drawn.random(), "macs": 10_000_000, "params": 1000, "epochs": 4, "control": slot % 100 == 7,
        }
        for slot in range(n)
    ]  # fmt: skip
    best = sorted(range(n), key=lambda slot: -trials[slot]["reward"])
    return {"trials": trials, "front": best[5:40], "top": best[:5], "chosen": best[0], "attribute": "sex"}


def test_up_to_the_limit_everything_is_drawn_and_listed() -> None:
    assert thinned(range(MOST_DRAWN), lambda _: False) == list(range(MOST_DRAWN))
    trials = made_search(MOST_LISTED)["trials"]
    assert listed(trials, set()) == trials


@pytest.mark.parametrize("kept", [0, 10, MOST_DRAWN, MOST_DRAWN + 5])
def test_what_may_not_be_left_out_is_drawn_and_the_rest_fills_up_in_order(kept: int) -> None:
    drawn = thinned(range(MOST_DRAWN + 500), lambda number: number < kept)
    assert set(range(kept)) <= set(drawn)
    assert len(drawn) == max(MOST_DRAWN, kept)
    assert drawn == sorted(drawn)
    assert drawn == thinned(range(MOST_DRAWN + 500), lambda number: number < kept)


def test_front_chosen_and_control_are_drawn_and_the_axes_span_all() -> None:
    search = made_search(3000)
    search["trials"][11] |= {"unfairness": 5.0, "reward": 0.0}  # far out, and nothing special
    points = candidates(search, {}, attribute="sex")
    drawn = {point.slot for point in drawn_points(points)}
    control = {slot for slot in range(3000) if slot % 100 == 7}
    assert {*search["front"], search["chosen"], *control} <= drawn
    picture = str(draw_front(points, floor=Estimate(None)))
    assert picture.count("<circle") == MOST_DRAWN + 1  # and the ring of the chosen one
    assert ">4.00</text>" in picture


def test_the_best_so_far_is_of_all_rewards() -> None:
    search = made_search(3000)
    whole = str(draw_progress(search["trials"], range(3000)))
    drawn = str(draw_progress(search["trials"], special_slots(search)))
    assert whole.count("<circle") == 3000
    assert drawn.count("<circle") == MOST_DRAWN
    lines = re.compile("<line[^>]*curve[^>]*>")
    assert len(lines.findall(drawn)) > 3
    assert lines.findall(drawn) == lines.findall(whole)


def test_the_table_has_special_candidates_and_the_highest_rewards() -> None:
    search = made_search(3000)
    special = special_slots(search)
    rows = listed([*search["trials"], {"slot": 3000, "state": "failed", "reward": None}], special)
    slots = {trial["slot"] for trial in rows}
    assert len(rows) == MOST_LISTED
    assert special <= slots
    out = max(t["reward"] for t in search["trials"] if t["slot"] not in slots)
    assert out <= min(t["reward"] for t in rows if t["slot"] not in special)


@pytest.mark.parametrize(("n", "says"), [(300, False), (3000, True)])
def test_the_page_says_what_it_leaves_out(n: int, says: bool, tmp_path) -> None:
    (tmp_path / "search.json").write_text(json.dumps(made_search(n)))
    (tmp_path / "config.toml").write_text('verb = "search"\n[options]\n')
    page = write_report(tmp_path).read_text()
    assert page.count(f"Drawn: {count(2000)} of {count(3000)}, ") == 2 * says
    assert page.count(f"{count(1000)} of {count(3000)}: the front, the best five") == says
    assert page.count("All are in search.json") == says
