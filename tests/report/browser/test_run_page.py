"""The page of a run in a real browser: drawn, asking nothing of the network, fitting a phone and a wide screen."""

from __future__ import annotations

import json

from mindgap.report.document import write_report


def test_the_page_is_drawn_and_asks_nothing_of_the_network(make_search_run, look) -> None:
    for found in look(write_report(make_search_run()), 1280, 420):
        assert found["figures"] >= 25
        assert found["shapes"] > 200
        assert found["off"] <= 0.02 * found["shapes"]  # an interval of no width has no size
        assert found["requests"] == 0
        assert found["unnamed"] == found["untitled"] == 0
        assert found["background"] != "rgba(0, 0, 0, 0)", "the policy blocked the page's own style sheet"
        assert found["overflow"] <= 0, "the page is wider than the screen"


LONG_NAMES = {f"a long name of group {letter}*30-60": (0.6 + 0.02 * k, 90) for k, letter in enumerate("abcdef")}


def test_the_gaps_are_read_without_scrolling_at_every_width_and_on_paper(make_search_run, make_audit, look) -> None:
    page = write_report(make_search_run(test=make_audit(shown=True, groups=LONG_NAMES)))
    # on paper: the text area of A4 and of US letter between the page's margins
    *screens, a4, letter = look(page, 360, 700, 900, 1200, 1250, 1600, paper=(680, 700))
    for found in screens:
        assert found["beyond"] == []
        assert [name for name in found["scrolling"] if name.startswith(("Gaps over", "Groups of", "Batch"))] == []
        assert found["hinted"], "a box that scrolls does not show it"
    for found in (a4, letter):
        assert (found["beyond"], found["scrolling"]) == ([], [])


def test_a_hostile_name_runs_nothing(make_train_run, make_audit, look) -> None:
    hostile = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"
    groups = {hostile: (0.6, 100), "male": (0.7, 400)}
    page = write_report(make_train_run(test=make_audit(shown=True, groups=groups)))
    (found,) = look(page, 1280)
    assert found["alerted"] is False
    assert found["requests"] == 0


def test_skin_tone_in_training_fits_every_width_and_paper(make_train_run, look) -> None:
    folder, bands = make_train_run(), ("I", "II", "III", "IV", "V", "VI")
    lines = []
    for epoch in range(1, 41):
        line = {"epoch": epoch, "blend_replaced": 0.3}
        for number, band in enumerate(bands):
            line |= {f"blend_share_{band}": 0.1 + 0.02 * number, f"blend_chance_{band}": 0.1 * number}
            line |= {f"blend_n_{band}": 10_000 * number} if epoch == 1 else {}
            line |= {f"auc_n_{band}": 40 * number, f"auc_{band}": 0.6 + epoch / 200} if epoch % 5 == 0 else {}
        lines.append(json.dumps(line) + "\n")
    (folder / "log.jsonl").write_text("".join(lines), encoding="utf-8")
    with (folder / "config.toml").open("a", encoding="utf-8") as file:
        file.write("\n[options.blend]\nevery = 5\n")
    page = write_report(folder)
    assert '<section id="blend"' in page.read_text(encoding="utf-8")
    *screens, a4, letter = look(page, 360, 700, 1280, paper=(680, 700))
    for found in (*screens, a4, letter):
        assert found["beyond"] == []
        assert [
            name for name in found["scrolling"] if name in {"Training images by tone band", "AUROC by tone band"}
        ] == []
        assert found["unnamed"] == found["untitled"] == 0
        assert found["named"]
