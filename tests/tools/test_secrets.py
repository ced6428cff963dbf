"""No secret of the environment reaches what a run writes, says or sends."""

import json
import logging

import matplotlib.font_manager  # noqa: F401  (its cache is in HOME)
import pytest
import wandb
from omegaconf import OmegaConf
from tiny_runs import PICTURE, TINY_RUN

from gan_runner import train
from gan_runner.cli import run as cli
from gan_runner.errors import ConfigError
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.directory import RunDirectory
from gan_runner.tools.secrets import LOGIN, name_secrets, redact, redact_record

KEY, TOKEN, PASSWORD = "0123456789abcdef" * 2 + "c0ffee00", "hf_'quoted\" é\\n", "correct-horse"
SECRETS = [KEY, TOKEN, json.dumps(TOKEN)[1:-1], repr(TOKEN)[1:-1], PASSWORD]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    wandb.teardown()
    yield
    wandb.teardown()


def leaks(folder, *texts):
    """Where a secret stands among all bytes under a folder, names of files too, and in texts."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    found = {path.name: path.read_bytes() + str(path).encode() for path in files}
    found |= {f"text {number}": text.encode() for number, text in enumerate(texts)}
    return [(name, secret) for name, content in found.items() for secret in SECRETS if secret.encode() in content]


PLAIN = ["trainer.sample_every=0", "trainer.evaluate_every=0"]
TYPED = [
    "logger.name=${oc.env:HF_TOKEN}",
    f"logger.tags=[{KEY}]",
    f'logger.group="https://bob:{PASSWORD}@example.org/x"',
]


def test_a_run_that_fails_with_secrets_in_its_error_reveals_none(gan_run, tmp_path, monkeypatch):
    observe, steps = train.Trainer.observe, []

    def fail_at_the_end(trainer, event):
        observe(trainer, event)
        steps.append(1)
        if len(steps) == 4:
            raise RuntimeError(f"cannot reach https://{TOKEN}:{PASSWORD}@example.org with {KEY}")

    monkeypatch.setattr(train.Trainer, "observe", fail_at_the_end)
    line = [option for option in TINY_RUN if not option.startswith("logger")]
    code, out, err = gan_run(*line, *TYPED, *PLAIN, PICTURE, "hydra.run.dir=run", "logger.mode=offline")
    assert code == 1
    assert leaks(tmp_path / "run", out, err) == []
    assert "RuntimeError: cannot reach" in err
    assert "Traceback" in (tmp_path / "run" / "run.log").read_text()
    assert list((tmp_path / "run" / "wandb").rglob("*.wandb"))
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "- ${oc.env:WANDB_API_KEY}" in config
    assert "name: ${oc.env:HF_TOKEN}" in config
    assert "https://***@example.org" in config
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, _, err = gan_run("resume=run", "logger.mode=disabled", "trainer.steps=6")
    assert code == 2  # what was named is no longer there
    assert "HF_TOKEN" in err


def test_a_secret_that_was_typed_is_read_back_from_the_environment(gan_run, tmp_path):
    assert gan_run(*TINY_RUN, *PLAIN, f"logger.name={KEY}", "hydra.run.dir=run")[0] == 0
    saved = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["config"]
    assert "name: ${oc.env:WANDB_API_KEY}" in saved
    code, _, err = gan_run("resume=run", "trainer.steps=6")
    assert code == 0, err
    assert leaks(tmp_path / "run") == []


def test_another_value_of_a_secret_is_the_same_configuration(monkeypatch):
    found = set()
    for secret in ("first-secret", "second-secret"):
        monkeypatch.setenv("HF_TOKEN", secret)
        found.add(train.fingerprint(OmegaConf.create({"dataset": {"login": "${oc.env:HF_TOKEN}", "name": "x"}})))
    assert len(found) == 1


def test_a_sweep_and_its_failures_reveal_no_secrets(gan_run, tmp_path):
    gan_run("-m", *TINY_RUN, *PLAIN, *TYPED, "optimizer=adam,sgd", "optimizer.lr=1e30", "trainer.log_every=1")
    (sweep,) = tmp_path.glob("outputs/multirun/*/*")
    assert (sweep / "multirun.yaml").exists()
    assert (sweep / "sweep.md").exists()
    assert leaks(tmp_path / "outputs") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key={KEY}", "key=${oc.env:WANDB_API_KEY}"),
        (json.dumps([TOKEN]), '["${oc.env:HF_TOKEN}"]'),
        (f"KeyError({TOKEN!r})", "KeyError('${oc.env:HF_TOKEN}')"),
        ("https://bob:pass@host/x", "https://***@host/x"),
        ("git+ssh://ghp_123@host", "git+ssh://***@host"),
        ("https://bob:${oc.env:OTHER}@host", "https://bob:${oc.env:OTHER}@host"),
        (f"https://{KEY}@host", "https://${oc.env:WANDB_API_KEY}@host"),
        (f"https://{KEY}:pass@host", "https://***@host"),
        ("mail me@host, or https://host/@me", "mail me@host, or https://host/@me"),
    ],
)
def test_redact(text, expected):
    assert redact(text) == redact(redact(text)) == expected
    assert redact({text: [text, 1, None]}) == {expected: [expected, 1, None]}
    assert LOGIN.sub("***", name_secrets(text)) == expected


def test_short_values_paths_and_other_variables_are_no_secrets(monkeypatch, tmp_path):
    (tmp_path / "credentials").touch()
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "credentials"))
    monkeypatch.setenv("EDITOR", "something-long")
    text = f"false {tmp_path}/credentials something-long"
    assert redact(text) == text


def test_log_records_are_redacted_and_keep_their_level():
    record = logging.LogRecord("gan_runner", logging.INFO, "", 0, "%s at %d", (KEY, 3), None)
    assert redact_record(record)
    assert record.getMessage() == "${oc.env:WANDB_API_KEY} at 3"


def test_a_traceback_in_the_log_has_no_secrets(tmp_path):
    log = logging.getLogger("gan_runner")
    with train.LogFile(RunDirectory(tmp_path)):
        try:
            raise OSError(f"cannot reach https://bob:{PASSWORD}@example.org with {KEY}")
        except OSError:
            log.debug("failed", exc_info=True)
    written = (tmp_path / "run.log").read_text()
    assert "OSError: cannot reach https://***@example.org with ${oc.env:WANDB_API_KEY}" in written
    assert "Traceback" in written


def test_a_secret_of_several_lines_is_redacted_in_an_error(monkeypatch, capsys):
    secret = "-----BEGIN KEY-----\n  c2VjcmV0\n-----END KEY-----"
    monkeypatch.setenv("DEPLOY_KEY", secret)
    assert cli.report_error(ConfigError(f"the key {secret}\nis refused")) == 2
    assert capsys.readouterr().err == "gan-run: the key ${oc.env:DEPLOY_KEY} is refused\n"
