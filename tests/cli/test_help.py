"""`--help`, `--version` and completion: from the comments in `conf/`, within the terminal's width, without torch."""

import pytest
from conftest import names_in

from gan_runner import __version__
from gan_runner.cli import compare, entry
from gan_runner.cli.completion import completions, nested_completions
from gan_runner.cli.flags import hydra_flags
from gan_runner.cli.help import help_text
from gan_runner.config.comments import GROUPS, root_knobs
from gan_runner.errors import ConfigError


@pytest.fixture
def helped(monkeypatch):
    """The help that a command line gets in a terminal of some columns."""

    def typed(line, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        return help_text(hydra_flags(["--help", *line.split()]))

    return typed


def test_help_has_every_group_option_and_knob_of_every_run(helped):
    text = helped("")
    for group in GROUPS:
        assert f"\n  {group} " in text
        assert all(name in text for name in names_in(group))
    assert all(f"  {knob.key}=" in text for knob in root_knobs())
    assert text.count("\n  gan-run") >= 9


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("line", ["", "loss", "model", "experiment", "game=infogan"])
def test_help_fits_the_terminal(helped, line, columns):
    words = [name for name in helped(line, columns).splitlines() if len(name) > columns]
    assert all(len(name.split()) <= 4 and "=" in name for name in words), words  # a key is not broken


def test_help_of_a_group_describes_its_options_and_their_knobs(helped):
    text = helped("loss")
    assert "loss=NAME" in text
    assert all(f"\n{name}  " in text for name in names_in("loss"))
    assert "players.discriminator.updates=5  critic updates" in text


def test_help_of_an_option_shows_the_knobs_that_it_includes(helped):
    text = helped("loss=wgan_gp")
    assert text.startswith("loss=wgan_gp\n")
    assert "It chooses optimizer=adam_wgan_gp" in text
    assert "regularizer.gradient_penalty.target=1.0" in text
    assert helped("wgan_gp") == text == helped("loss/wgan_gp")
    both = helped("regularizer=[r1,ema]")
    assert "regularizer=r1\n" in both
    assert "regularizer=ema\n" in both


def test_help_of_a_knob(helped):
    text = helped("optimizer.lr")
    assert all(f"{name}" in text for name in names_in("optimizer"))
    assert "  optimizer.lr=5.0e-5  learning rate (optimizer=rmsprop)" in text
    assert "(optimizer=adam_wgan_gp)" in helped("+optimizer.lr=3")
    assert helped("trainer.steps").startswith("  trainer.steps=2500  training steps")
    assert helped("trainer").count("trainer.") >= 13


def test_help_knows_the_options_in_a_folder_of_ones_own(tmp_path, helped):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text("# My loss.\n_target_: a.B\nscale: 2.0 # of all\n")
    text = helped(f"--config-dir {tmp_path} loss=mine")
    assert "My loss." in text
    assert "loss.scale=2.0  of all" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# Mine.\ndefaults: [hing]\nscale: 1.0 # of all\n", "there is no loss=hing; did you mean hinge?"),
        ("# Mine.\nscale: [1.0\n", "mine.yaml is not valid YAML"),
    ],
)
def test_help_of_a_broken_file_is_one_clear_line(tmp_path, helped, content, message):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError) as error:
        helped(f"--config-dir {tmp_path} loss=mine")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("word", "meant"), [("los", "loss"), ("loss=wgan_g", "wgan_gp"), ("traine.steps", "trainer")])
def test_help_of_an_unknown_word_suggests_another(helped, word, meant):
    with pytest.raises(ConfigError, match=f"did you mean {meant}"):
        helped(word)


def test_version_is_that_of_gan_runner(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gan-run", "--version"])
    entry.main()
    with pytest.raises(SystemExit):
        compare.main(["--version"])
    assert capsys.readouterr().out == f"gan-runner {__version__}\n" * 2


def test_an_unknown_word_ends_help_with_one_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gan-run", "--help", "los"])
    with pytest.raises(SystemExit, match="2"):
        entry.main()
    assert capsys.readouterr() == ("", "gan-run: there is no group or knob los; did you mean loss?\n")


def test_completion_goes_into_folders(monkeypatch):
    names = ["a/b1", "a/b2", "ab/c", "d", "e/f/g", "e/f/h"]
    assert completions("", names) == ["a/", "ab/", "d", "e/"]
    assert completions("a", names) == ["a/", "ab/"]
    assert completions("a/", names) == ["a/b1", "a/b2"]
    assert completions("d", names) == ["d"]
    assert completions("e", names) == ["e/f/g", "e/f/h"]
    query = hydra_flags(["-sc", "query=bash"])
    monkeypatch.setenv("COMP_LINE", "gan-run seed=1 experiment=gul")
    assert "experiment=gulrajani2017/8gaussians" in nested_completions(query).split()
    for line in ("gan-run loss=h", "gan-run trainer.steps=", "gan-run "):
        monkeypatch.setenv("COMP_LINE", line)
        assert nested_completions(query) is None
