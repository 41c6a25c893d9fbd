"""One use of an adapter by all answers to a request."""

from __future__ import annotations

import threading

from workers.serving.adapter_bank import AdapterBank, LoadedAdapter


class Loan:
    """An adapter that goes back to its bank with the last of those that use it; None is the base.

    Whoever makes it uses it. `take` and `give_back` may be called from any thread.
    """

    def __init__(self, bank: AdapterBank, adapter: LoadedAdapter | None) -> None:
        self.adapter = adapter
        self._bank = bank
        self._users = 1
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._lock:
            self._users += 1

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last and self.adapter is not None:
            self._bank.release(self.adapter)
