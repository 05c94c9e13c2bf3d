"""Ends what we started when we cannot do it ourselves any more."""

import subprocess


class Guard:
    """A shell that runs a script once this process is gone, whatever the reason.

    It reads from a pipe that only we hold open: when we are gone, the read ends.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _; {script}", "guard", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Run nothing."""
        self._shell.kill()
        self._shell.communicate()
