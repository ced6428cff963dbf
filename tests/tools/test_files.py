"""Files on file systems that lack operations, without a home directory, and without a working directory."""

import errno
import getpass
import os
import stat
from pathlib import Path

import pytest

from gan_runner.errors import ConfigError, DiskFull
from gan_runner.tools import cache
from gan_runner.tools.files import check_working_directory, relative, write_text
from gan_runner.tools.home import ensure_home


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_folder_that_cannot_be_synchronised_is_written_to(tmp_path, monkeypatch, number):
    synchronised = []

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        synchronised.append(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"
    assert len(synchronised) == 1


def test_an_error_of_the_disk_is_raised(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "a.txt", "text")
    assert not list(tmp_path.iterdir())


def test_a_limit_of_the_size_of_files_is_not_called_a_full_disk(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DiskFull, match=r"a.txt needs 4e-06 MB, more than a file may have here; raise the limit"):
        write_text(tmp_path / "a.txt", "text")


@pytest.fixture
def unknown_user(monkeypatch, tmp_path):
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "GAN_RUNNER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")  # restored after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"gan-runner-{os.getuid()}"


def test_an_unknown_user_gets_a_home_and_a_name(unknown_user):
    ensure_home()
    assert (Path.home(), getpass.getuser()) == (unknown_user, f"user{os.getuid()}")
    assert unknown_user.stat().st_mode & 0o777 == 0o700
    assert cache.folder() == unknown_user / ".cache/gan-runner"
    del os.environ["HOME"]
    ensure_home()
    assert Path.home() == unknown_user


@pytest.mark.parametrize("kind", ["writable by all", "a link"])
def test_a_folder_that_others_can_write_to_is_no_home(unknown_user, kind):
    if kind == "a link":
        (unknown_user.parent / "other").mkdir(mode=0o700)
        unknown_user.symlink_to("other")
    else:
        unknown_user.mkdir()
        unknown_user.chmod(0o777)
    ensure_home()
    assert Path.home() != unknown_user
    assert Path.home().parent == unknown_user.parent


def test_a_known_user_keeps_home_and_name(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USER", "me")
    before = dict(os.environ)
    ensure_home()
    assert dict(os.environ) == before


def test_a_working_directory_that_was_removed_is_reported_in_one_line(tmp_path, monkeypatch, gan_run):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    line = "the working directory is gone (No such file or directory); change to another one with cd"
    assert gan_run("experiment=smoke") == (2, "", f"gan-run: {line}\n")
    with pytest.raises(ConfigError, match="change to another one with cd"):
        check_working_directory()
    assert relative(tmp_path / "run") == tmp_path / "run"
