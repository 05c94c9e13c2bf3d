"""The application: its signals are connected when Django is ready."""

from django.apps import AppConfig


class Original(AppConfig):
    """The application named in `INSTALLED_APPS`."""

    name = "benchmarks.peers.original"
    label = "original"

    def ready(self) -> None:
        """Connect the signals."""
        from benchmarks.peers.original import signals  # noqa: F401, PLC0415
