"""Background work: the database is the truth, the broker only wakes.

A Celery message says "there is work of this kind" and nothing more. A worker claims the next piece from the
database, holds a lease that its heartbeat renews, and records the end in one place. Losing the broker, or
receiving a message twice, loses nothing and repeats nothing.
"""
