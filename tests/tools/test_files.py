"""Files on file systems that lack operations, without a home directory, and without a working directory."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gan_runner.errors import ConfigError, DiskFull
from gan_runner.tools import cache
from gan_runner.tools.files import check_working_directory, relative, write_text


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


def test_a_user_without_a_home_has_the_cache_in_the_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("GAN_RUNNER_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache.folder() == tmp_path / f"gan-runner-{os.getuid()}"
    monkeypatch.setenv("HOME", "/home/me")
    assert cache.folder() == Path("/home/me/.cache/gan-runner")


def test_a_working_directory_that_was_removed_is_reported_in_one_line(tmp_path, monkeypatch, gan_run):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    line = "the working directory is gone (No such file or directory); change to another one with cd"
    assert gan_run("experiment=smoke") == (2, "", f"gan-run: {line}\n")
    with pytest.raises(ConfigError, match="change to another one with cd"):
        check_working_directory()
    assert relative(tmp_path / "run") == tmp_path / "run"
