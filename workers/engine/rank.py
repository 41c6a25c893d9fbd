"""One process of several that train a run together: `python -m workers.engine.rank`, as accelerate starts it.

It is the training child; only that it ties itself to the launcher before it imports PyTorch, for seconds in
which the launcher may be killed. Orphans would wait for each other for many minutes.
"""

from workers.engine.lifeline import die_with_parent

die_with_parent()

from workers.engine.child import main  # noqa: E402  # see above

if __name__ == "__main__":
    main()
