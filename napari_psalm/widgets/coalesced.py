"""Many calls in a short time become few: the first at once, then the latest."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class Coalesced(QObject):
    """Calls a function at once, but not again before some time has gone by; calls meanwhile become one.

    Parameters
    ----------
    function : callable
        What to call.
    milliseconds : int
        The least time between two calls.
    parent : QObject, optional
        The Qt parent.
    """

    def __init__(self, function: Callable[[], None], milliseconds: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._function = function
        self._wanted = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(self._after)

    def call(self, *_ignored: object) -> None:
        """Call the function now or soon."""
        if self._timer.isActive():
            self._wanted = True
            return
        self._timer.start()
        self._function()

    def stop(self) -> None:
        """Forget what was wanted."""
        self._wanted = False
        self._timer.stop()

    def _after(self) -> None:
        if self._wanted:
            self._wanted = False
            self.call()
