"""Every option and every knob of `conf/` is described, and the page of options is up to date."""

import re
import sys
from pathlib import Path

from conftest import names_in

from gan_runner.config.comments import GROUPS, Document, group_and_name, groups, option, options, root_knobs
from gan_runner.config.paths import CONF

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
import reference

NOT_CHOSEN = {"setting", "suggested", "local"}
"""Folders with parts of other files, and the user's own settings."""

WHOLE = re.compile(r"experiment/|setting/(rosca/)?\w+\.yaml")
"""Whole configurations: they set other options' knobs."""

WIRING = re.compile(r"(.*\.)?(networks|fixed|shape|name|advice|target_type|train|digits\..*|test\..*)|.*\.terms\..*")
"""Keys that connect the parts of an option, and are no knobs."""

FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml") if path.parent.name != "local")


def document(file):
    return Document(CONF / file, str(Path(file).parent).replace(".", "", 1) if "/" in file else "")


def test_page_of_options_is_current():
    assert (CONF / "README.md").read_text(encoding="utf-8") == reference.page(), "run python scripts/reference.py"


def test_every_group_is_described():
    assert {path.name for path in CONF.iterdir() if path.is_dir()} - NOT_CHOSEN == {*GROUPS}
    assert all(group.description for group in groups().values())


def test_every_option_and_every_knob_has_a_comment():
    for file in FILES:
        found = document(file)
        assert file == "config.yaml" or found.comment[0], f"conf/{file} does not begin with a comment"
        values = [value for value in found.values if value.literal and value.default != "{}" and not WHOLE.match(file)]
        silent = [value.key for value in values if not value.description and not WIRING.fullmatch(value.key)]
        assert not silent, f"conf/{file}: no comment behind {', '.join(silent)}"


def test_page_has_every_option_and_every_knob():
    page = reference.page()
    for group in GROUPS:
        assert all(f"**`{name}`**: " in page for name in names_in(group) if group != "experiment")
        assert all(f"`{knob.key}`" in page for one in options(group) for knob in one.knobs)
    assert all(f"| `{knob.key}` |" in page for knob in root_knobs())


def read(tmp_path, text, group="loss"):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return Document(path, group)


def test_first_sentence_ends_at_its_own_full_stop(tmp_path):
    found = read(tmp_path, "# @package _global_\n# A loss (Lim et al. 2017, Eq. 3. Also in\n# Table 1). More.\na: 1\n")
    assert found.comment == ("A loss (Lim et al. 2017, Eq. 3. Also in Table 1).", "More.")


def test_a_comment_belongs_to_the_value_before_it(tmp_path):
    text = "# A.\n_target_: b\nc: {d: 1, e: [2, 3]} # of e\nf: ${g.h} # of f\ni: # of i\n  [\n    j, k,\n  ]\nl: 1e-3\n"
    knobs = {knob.key: (knob.default, knob.literal, knob.description) for knob in read(tmp_path, text).values}
    assert knobs == {
        "loss.c.d": ("1", True, ""),
        "loss.c.e": ("[2, 3]", True, "of e"),
        "loss.f": ("g.h", False, "of f"),
        "loss.i": ("[j, k]", True, "of i"),
        "loss.l": ("1e-3", True, ""),
    }


def test_keys_of_a_global_file_are_those_of_the_configuration(tmp_path):
    found = read(tmp_path, "# @package _global_\n# A.\nplayers: {a: {updates: 5}} # b\n")
    assert [knob.key for knob in found.knobs] == ["players.a.updates"]
    assert [knob.key for knob in option("observation", "normal").knobs] == ["game.observation.scale"]


def test_an_option_names_what_it_includes_and_chooses():
    found = option("loss", "wgan_gp")
    assert found.builds_on == (("regularizer", "gradient_penalty"),)
    assert found.chooses == ("optimizer=adam_wgan_gp",)
    assert option("loss", "decoupled").chooses == ("loss@loss.critic=non_saturating", "loss@loss.aim=fgan_kl")
    assert option("experiment", "dziugaite2015/mnist").builds_on == (("experiment", "li2015/mnist"),)
    assert "game.codes.c1.size" in [knob.key for knob in option("game", "infogan").knobs]
    assert group_and_name("experiment/li2015/mnist") == ("experiment", "li2015/mnist")
    assert group_and_name("setting/codes/chen2016") == ("setting/codes", "chen2016")
