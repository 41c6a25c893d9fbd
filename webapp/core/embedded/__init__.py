"""A real PostgreSQL and a real Valkey from their wheels, for a machine that names none of its own.

They are ordinary children of the process that starts them and end with it. No Django here: the supervisor,
the tests and `make check` start them before Django reads its settings.
"""

from webapp.core.embedded.child import ServerError
from webapp.core.embedded.servers import Server, running

__all__ = ["Server", "ServerError", "running"]
