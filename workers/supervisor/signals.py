"""Ctrl-C and its kind, counted and not raised: an exception could strike while things are being stopped."""

from __future__ import annotations

import signal
from types import FrameType

_ASK_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody asked to stop before the product was up."""


class StopRequests:
    def __init__(self) -> None:
        self._count = 0

    def install(self) -> None:
        for number in _ASK_TO_STOP:
            signal.signal(number, self._note)

    @property
    def asked(self) -> bool:
        return self._count > 0

    @property
    def urgent(self) -> bool:
        """Asked twice: whoever asks does not want to wait."""
        return self._count > 1

    def check(self) -> None:
        """Raises Interrupted once somebody asked to stop."""
        if self.asked:
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
