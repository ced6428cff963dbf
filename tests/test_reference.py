"""The page of options is that of the options there are."""

import sys
from pathlib import Path

from conftest import names_in

from gan_runner.config.paths import CONF

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
import reference

NOT_CHOSEN = {
    "setting",
    "suggested",
    "local",
    "experiment",
}  # parts of other files, one's own, and whole configurations


def test_page_of_options_is_up_to_date():
    assert (CONF / "README.md").read_text(encoding="utf-8") == reference.page(), "run python scripts/reference.py"


def test_page_has_a_sentence_for_every_option():
    page = reference.page()
    assert {path.name for path in CONF.iterdir() if path.is_dir()} - NOT_CHOSEN == {*reference.ORDER}
    for group in reference.ORDER:
        assert all(f"- `{name}`: " in page for name in names_in(group))
    assert "`: \n" not in page


def test_first_sentence_ends_at_its_own_full_stop(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "# @package _global_\n# A loss (Lim et al. 2017, Eq. 3. Also in\n# Table 1) for images. More.\na: 1\n"
    )
    assert reference.first_sentence(path) == "A loss (Lim et al. 2017, Eq. 3. Also in Table 1) for images."
