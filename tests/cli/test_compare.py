"""Runs side by side on one page: what its tables say, and that it needs nothing but itself."""

import json
import re
import statistics
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import pytest
from omegaconf import OmegaConf
from plotly.offline import get_plotlyjs
from tiny_runs import PICTURE, TINY_RUN

from gan_runner.cli.compare import main
from gan_runner.cli.page import (
    MOST_POINTS,
    best_mean,
    charts_of,
    configurations_of,
    differences,
    directions,
    page_of,
)
from gan_runner.runs.saved import find_runs

PIXEL = b"\x89PNG\r\n\x1a\n not much of a picture"


def save_run(path, seed=0, best=1.0, summary=True, lines=None, typed=(), **options):
    """A run's directory, as if it had been trained; dotted options are written with two underscores."""
    path.mkdir(parents=True)
    config = {
        "seed": seed,
        "trainer": {"steps": 4, "device": "cpu"},
        "dataset": {"root": str(path)},
        "loss": {"_target_": "Hinge"},
        "optimizer": {"lr": 0.1, "betas": [0.5, 0.9]},
        "players": {"generator": {"terms": {"adversarial": {"_partial_": True}}}},
        "logger": {"name": str(path)},
    }
    config = OmegaConf.create(config)
    for key, value in options.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    OmegaConf.save(config, path / "config.yaml")
    OmegaConf.save(OmegaConf.create([*typed, f"seed={seed}"]), path / "overrides.yaml")
    (path / "environment.json").write_text(json.dumps({"group": "mlp hinge 01234567"}))
    if lines is None:
        lines = [
            {"step": 2, "generator/adversarial": best + 1, "images_seen": 20, "elapsed_s": 1.0, "metric/fd": best + 1},
            {"step": 4, "generator/adversarial": best, "images_seen": 40, "elapsed_s": 2.0, "metric/fd": best},
        ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if summary:
        content = {
            "status": "completed",
            "label": "mlp hinge",
            "seed": seed,
            "step": 4,
            "elapsed_s": 2.0 + seed,
            "steps_per_second": 2.0,
            "objective": "fd",
            "best": {"fd": {"value": best, "step": 4, "better": "min", "conditions": {}}},
            "final": {"metric/fd": best + 0.5, "generator/adversarial": best, "steps_per_second": 99.0},
            **(summary if isinstance(summary, dict) else {}),
        }
        (path / "summary.json").write_text(json.dumps(content))
    return path


def configurations_in(*paths):
    return configurations_of(find_runs(paths))


class Tables(HTMLParser):
    """The rows of all tables, as lists of text; and what is marked as best."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.marked, self.cell = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = ""
            self.best = "best" in (dict(attributes).get("class") or "")
        elif tag == "small":
            self.cell += " + "

    def handle_data(self, text):
        if self.cell is not None:
            self.cell += text

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self.cell)
            self.marked += [self.cell] * self.best
            self.cell = None


def page_in(*paths):
    return page_of(configurations_in(*paths), "somewhere")


def test_runs_that_differ_only_in_the_seed_are_one_configuration(tmp_path):
    for seed in (10, 9):
        save_run(tmp_path / str(seed), seed, trainer__device=f"cuda:{seed}")
    save_run(tmp_path / "other", 9, optimizer__lr=0.2)
    first, second = configurations_in(tmp_path)
    assert [run.seed for run in first.runs] == [9, 10]
    assert [run.seed for run in second.runs] == [9]


def test_configurations_are_named_by_the_options_that_distinguish_them(tmp_path):
    for number, loss in enumerate(("a", "b")):
        typed = [f"loss={loss}", "experiment=smoke"]
        save_run(tmp_path / str(number), typed=typed, loss___target_=loss)
    assert [one.name for one in configurations_in(tmp_path)] == ["loss=a", "loss=b"]
    save_run(tmp_path / "2", typed=["loss=b", "experiment=smoke"], loss___target_="since changed")
    names = [one.name for one in configurations_in(tmp_path)]
    assert len(set(names)) == 3


def test_runtime_options_do_not_name_a_configuration(tmp_path):
    typed = ["loss=b", "logger.mode=disabled", "trainer.device=cpu", "+observer.scalars.every=3", "trainer.steps=4"]
    save_run(tmp_path / "0", typed=typed)
    assert [one.name for one in configurations_in(tmp_path)] == ["loss=b trainer.steps=4"]


def test_tables_show_mean_and_sd_of_the_summaries(tmp_path):
    for seed, best in enumerate((1.0, 2.0, 6.0)):
        save_run(tmp_path / "a" / str(seed), seed, best, typed=["loss=a"])
        save_run(tmp_path / "b" / str(seed), seed, best + 10, typed=["loss=b"], loss___target_="b")
    save_run(tmp_path / "b" / "3", 3, 99.0, {"status": "diverged"}, typed=["loss=b"], loss___target_="b")
    rows = Tables(page_in(tmp_path))
    expected = [3, statistics.stdev([1, 2, 6])]
    assert rows.rows[0] == [
        *("configuration", "seeds", "completed", "best/fd\u00a0↓", "metric/fd\u00a0↓", "steps_per_second", "elapsed_s")
    ]
    assert rows.rows[1] == [
        "loss=a",
        "0, 1, 2",
        "3 of 3",
        "{:.4g} ± {:.2g}".format(*expected),
        "3.5 ± 2.6",
        "2 ± 0",
        "3 ± 1",
    ]
    assert rows.rows[2][:4] == ["loss=b", "0, 1, 2, 3", "3 of 4", "13 ± 2.6"]
    assert rows.marked == ["3 ± 2.6", "3.5 ± 2.6"]


def test_a_best_value_that_equals_the_last_in_all_runs_is_shown_once(tmp_path):
    for number, last in enumerate((1.0, 2.0)):
        save_run(tmp_path / str(number), best=last, loss___target_=f"{number}", summary={"final": {"metric/fd": last}})
    assert Tables(page_in(tmp_path)).rows[0][3:] == ["metric/fd\u00a0↓", "steps_per_second", "elapsed_s"]


def test_nothing_is_marked_without_a_better_direction(tmp_path):
    save_run(tmp_path / "0", best=1.0)
    save_run(tmp_path / "1", best=2.0, loss___target_="b", summary={"best": {"fd": {"value": 2.0, "step": 4}}})
    assert directions(configurations_in(tmp_path)) == {"best/fd": "min", "metric/fd": "min"}
    save_run(tmp_path / "2", summary={"best": {"fd": {"value": 2.0, "step": 4, "better": "max", "conditions": {}}}})
    assert directions(configurations_in(tmp_path)) == {}
    assert Tables(page_in(tmp_path)).marked == []
    assert best_mean([{"mean": 1.0}, None, {"mean": 3.0}], "max") == "3"
    assert best_mean([{"mean": 1.0}, None, {"mean": 1.0 + 1e-9}], "max") is None


def test_nothing_is_marked_if_the_datasets_differ(tmp_path):
    save_run(tmp_path / "0", best=1.0)
    save_run(tmp_path / "1", best=2.0, loss___target_="b")
    assert Tables(page_in(tmp_path)).marked == ["1", "1.5"]
    save_run(tmp_path / "2", best=3.0, dataset__image_size=64)
    assert Tables(page_in(tmp_path)).marked == []


def test_differing_options_are_listed(tmp_path):
    save_run(tmp_path / "0")
    save_run(tmp_path / "1", seed=1, trainer__device="cuda")
    save_run(tmp_path / "2", optimizer__lr=0.2, optimizer__betas=[0.0, 0.9], loss__margin=1.0)
    assert differences(configurations_in(tmp_path)) == {
        "trainer.device": ["cpu, cuda", "cpu"],
        "optimizer.lr": ["0.1", "0.2"],
        "optimizer.betas": ["[0.5, 0.9]", "[0.0, 0.9]"],
        "loss.margin": ["–", "1.0"],
    }
    assert ["seed", "0, 1", "0"] in Tables(page_in(tmp_path)).rows


def test_many_configurations_are_rows(tmp_path):
    for number in range(3):
        save_run(tmp_path / str(number), typed=[f"optimizer.lr={number}"], optimizer__lr=number)
    rows = Tables(page_in(tmp_path)).rows
    assert ["configuration", "seed", "optimizer.lr"] in rows
    assert ["optimizer.lr=2", "0", "2"] in rows


def test_options_with_equal_values_share_a_row(tmp_path):
    save_run(tmp_path / "0", players__generator__lr=0.1)
    save_run(tmp_path / "1", players__generator__lr=0.2, optimizer__lr=0.2)
    assert ["optimizer.lr + players.generator.lr", "0.1", "0.2"] in Tables(page_in(tmp_path)).rows


def test_charts_start_with_metrics_then_losses_and_collapse_the_rest(tmp_path):
    lines = [
        {"step": 1, "generator/gradient_norm": 1.0, "generator/adversarial": 1.0, "metric/fd": 1.0, "elapsed_s": 1}
    ]
    save_run(tmp_path / "0", lines=lines)
    charts, _ = charts_of(configurations_in(tmp_path))
    assert [(chart["key"], chart["folded"]) for chart in charts] == [
        ("metric/fd", False),
        ("generator/adversarial", False),
        ("generator/gradient_norm", True),
    ]


def test_bold_curve_is_the_mean_over_seeds_where_all_have_a_value(tmp_path):
    values = {0: [1.0, None, 5.0], 1: [3.0, 2.0, 6.0, 7.0]}
    for seed, column in values.items():
        lines = [
            {"step": 2 * n + 2, "fd": y, "images_seen": 20 * n + 20, "elapsed_s": n + seed + 1.0}
            for n, y in enumerate(column)
        ]
        save_run(tmp_path / str(seed), seed, lines=lines)
    (chart,), axes = charts_of(configurations_in(tmp_path))
    first, second, bold = chart["curves"]
    assert (first["y"], second["y"]) == (values[0], values[1])
    assert bold["y"] == [2.0, None, 5.5]
    assert bold["sd"] == [pytest.approx(statistics.stdev([1, 3]), rel=1e-5), None, pytest.approx(0.5**0.5, rel=1e-5)]
    assert axes[bold["axis"]] == {"step": [2, 4, 6], "images_seen": [20, 40, 60], "elapsed_s": [1.5, 2.5, 3.5]}


def test_curves_are_interpolated_over_time_and_images(tmp_path):
    lines = [{"step": 1, "fd": 1.0}, {"step": 4, "images_seen": 40, "elapsed_s": 8.0}, {"step": 5, "fd": 1.0}]
    save_run(tmp_path / "0", lines=lines)
    _, axes = charts_of(configurations_in(tmp_path))
    assert axes == [{"step": [1, 5], "images_seen": [10, None], "elapsed_s": [2.0, None]}]


def test_long_curves_are_thinned_and_the_page_says_so(tmp_path):
    save_run(tmp_path / "0", lines=[{"step": step, "fd": 1.0} for step in range(1, 2 * MOST_POINTS + 2)])
    (chart,), axes = charts_of(configurations_in(tmp_path))
    assert len(chart["curves"][0]["y"]) <= MOST_POINTS
    assert axes[0]["step"][-1] == 2 * MOST_POINTS + 1
    assert "1 of 3 points" in page_in(tmp_path)


def test_an_incomplete_last_line_of_a_running_run_is_skipped(tmp_path):
    run = save_run(tmp_path / "0", summary=False)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "metr')
    (one,) = configurations_in(tmp_path)
    assert one.runs[0].summary["status"] == "running"
    assert [line["step"] for line in one.runs[0].lines] == [2, 4]
    assert ["mlp hinge", "mlp hinge", "0", "running", "4 of 4", str(run)] in Tables(page_in(tmp_path)).rows


def test_broken_lines_are_skipped_with_a_warning(tmp_path, caplog):
    for broken in ([1, 2], {"fd": 1.0}, {"step": 3, "fd": "good"}, {"step": "3", "fd": 1.0}):
        caplog.clear()
        run = save_run(tmp_path / str(len(list(tmp_path.iterdir()))), lines=[{"step": 1, "fd": 2.0}, broken])
        ((one, *_),) = [each.runs for each in configurations_in(run)]
        assert one.curve("fd") == {1: 2.0}
        assert [record.getMessage() for record in caplog.records] == [
            f"{run / 'metrics.jsonl'}: skipped 1 of 2 lines, which are broken"
        ]


def test_a_run_that_failed_before_it_started_is_shown(tmp_path):
    save_run(tmp_path / "0", typed=["loss=hinge"])
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "overrides.yaml").write_text("- loss=wgan\n- seed=5\n")
    (tmp_path / "1" / "summary.json").write_text('{"status": "failed", "exit_code": 2, "error": "it cannot <work>"}')
    rows = Tables(page_in(tmp_path)).rows
    assert ["loss=wgan", "–", "5", "failed", "– of –", f"{tmp_path / '1'} + it cannot <work>"] in rows
    assert ["loss=wgan", "5", "0 of 1", *["–"] * 4] in rows


def test_verdicts_are_shown(tmp_path):
    for number, (measured, passed) in enumerate([(0.1, True), (0.3, True), (None, False), (None, None)]):
        verdict = {
            "published": {"fd": 0.2},
            "accepted": {"fd": "≤ 0.5"},
            "measured": {"fd": measured},
            "passed": passed,
        }
        save_run(tmp_path / str(number), seed=number, summary=verdict)
    assert ["mlp hinge", "fd", "0.2", "≤ 0.5", "0.2 ± 0.14", "2 of 3"] in Tables(page_in(tmp_path)).rows


def test_pictures_are_embedded_in_the_page(tmp_path):
    samples = save_run(tmp_path / "0", seed=7) / "samples"
    samples.mkdir()
    for name in ("step_0000002.png", "step_0000004.png", "training.gif"):
        (samples / name).write_bytes(PIXEL)
    page = page_in(tmp_path)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page) == ["seed 7, step 4", "training.gif"]
    assert len(re.findall(r'<img src="data:image/(?:png|gif);base64,', page)) == 2


def test_the_page_fetches_nothing_and_escapes_text(tmp_path):
    evil = "loss=<script>alert(1)</script>&{{plotly}}"
    lines = [{"step": 1, "</script><script>alert(2)</script>": 1.0, "metric/fd": None}]
    for number in (0, 1):
        save_run(tmp_path / str(number), lines=lines, typed=[f"{evil}{number}"], loss__name=f"<img src=x>{number}")
    page = page_in(tmp_path)
    assert page.count(get_plotlyjs()) == 1
    own = page.replace(get_plotlyjs(), "")
    assert re.findall(r"https?://", own) == []
    assert not re.search(r"<(link|iframe|object|base)\b|@import|url\(", own)
    assert [
        source for source in re.findall(r'\b(?:src|href)\s*=\s*["\']?([^"\'\s>]+)', unescape(own)) if source != "x"
    ] == []
    assert own.count("<script") == 3
    assert "<img" not in own
    assert "default-src 'none'" in own
    data = json.loads(re.search(r'id="data">(.*?)</script>', own)[1])
    assert data["charts"][-1]["key"] == "</script><script>alert(2)</script>"
    assert "<" not in data["configurations"][0]["name"]


def test_the_page_is_written_to_the_given_directory(tmp_path, capsys, monkeypatch):
    save_run(tmp_path / "sweep" / "0")
    save_run(tmp_path / "sweep" / "1" / "0", seed=1)
    save_run(tmp_path / "alone", seed=2)
    monkeypatch.chdir(tmp_path)
    main(["sweep"])
    main(["sweep", "alone", "sweep/0"])
    main(["alone", "--out", "new/page.html"])
    assert capsys.readouterr().out.split() == ["sweep/comparison.html", "comparison.html", "new/page.html"]
    titles = [
        re.search("<h1>(.*?)</h1>", (tmp_path / path).read_text())[1] for path in ("comparison.html", "new/page.html")
    ]
    assert titles == ["3 runs of 1 configuration", "1 run of 1 configuration"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nowhere", "nowhere does not exist; give the directory of a run"),
        ("run/summary.json", "run/summary.json is a file; give the directory"),
        ("empty", "empty holds no run: there is no overrides.yaml, summary.json or metrics.jsonl"),
        ("run empty", "empty holds no run"),
        ("torn", "torn/summary.json is broken (Expecting value"),
        ("yaml", "yaml/config.yaml is broken (yaml/config.yaml is not a valid configuration"),
        ("foreign", "foreign/summary.json is broken (it has no status); leave out this run, or repair the file"),
        ("list", "list/summary.json is broken (it is not a JSON object)"),
        ("endless", "endless/summary.json is broken (it has no best)"),
        ("run --out empty", "--out empty is a directory; name a file in it"),
    ],
)
def test_a_path_without_a_run_gets_one_clear_line(tmp_path, capsys, monkeypatch, line, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    save_run(tmp_path / "run")
    (save_run(tmp_path / "torn") / "summary.json").write_text('{"status": ')
    (save_run(tmp_path / "foreign") / "summary.json").write_text('{"accuracy": 1.0}')
    (save_run(tmp_path / "list") / "summary.json").write_text("[1, 2]")
    (save_run(tmp_path / "endless") / "summary.json").write_text('{"status": "completed"}')
    (save_run(tmp_path / "yaml") / "config.yaml").write_text("a: [")
    with pytest.raises(SystemExit) as exit_:
        main(line.split())
    assert exit_.value.code == 2
    out, err = capsys.readouterr()
    assert reason in err
    assert err.startswith("gan-compare: ")
    assert (out, err.count("\n")) == ("", 1)
    assert not list(tmp_path.glob("**/*.html"))


def test_the_page_of_a_trained_run_shows_the_better_direction(gan_run, tmp_path):
    code, _, err = gan_run(*TINY_RUN, PICTURE, "hydra.run.dir=run")
    assert code == 0, err
    best = json.loads((tmp_path / "run" / "summary.json").read_text())["best"]
    assert {name: entry["better"] for name, entry in best.items()} == {
        "modes": "max",
        "high_quality": "max",
        "reverse_kl": "min",
        "sliced_wasserstein": "min",
    }
    main(["run"])
    page = (tmp_path / "run" / "comparison.html").read_text()
    assert "1 run of 1 configuration" in page
    assert "seed 0, step 4" in page


def test_help_imports_no_heavy_package():
    script = "import sys; from gan_runner.cli.compare import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "plotly", "numpy", "rich", "matplotlib", "wandb", "pydantic"}.isdisjoint(modules)
