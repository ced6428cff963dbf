"""Hatchling's hook that adds the git commit to a wheel or a source distribution, as `gan_runner/commit.json`."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Commit(BuildHookInterface):
    """Writes the file for the time of the build. An editable installation asks git itself."""

    def initialize(self, version, build_data):
        """Write the file, and add it to the build."""
        self.file = None
        if version != "editable" and (Path(self.root) / ".git").exists():
            handle, self.file = tempfile.mkstemp()
            with os.fdopen(handle, "w") as file:
                json.dump({"git_sha": self.git("rev-parse", "HEAD"), "git_dirty": bool(self.git("status", "-s"))}, file)
            os.chmod(self.file, 0o644)
            build_data["force_include"][self.file] = "gan_runner/commit.json"

    def finalize(self, version, build_data, artifact_path):
        """Remove the file."""
        if self.file is not None:
            os.unlink(self.file)

    def git(self, *arguments):
        """The output of git; None if it fails."""
        try:
            answer = subprocess.run(
                ["git", "--no-optional-locks", *arguments], cwd=self.root, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None
