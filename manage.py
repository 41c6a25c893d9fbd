#!/usr/bin/env python
"""Django's command line for Housestyle."""

import os
import sys

# These commands change or check the schema, so they act as the role that owns the tables. Everything
# else, web and workers above all, connects as a role that cannot bypass row-level security.
OWNER_COMMANDS = {"migrate", "makemigrations", "sqlmigrate", "showmigrations", "dbshell"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    if len(sys.argv) > 1 and sys.argv[1] in OWNER_COMMANDS:
        os.environ["HOUSESTYLE_DATABASE_ROLE"] = ""
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
