"""One process that starts, watches and ends all the others: `python -m workers.supervisor`."""
