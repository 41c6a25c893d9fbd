"""Reading rows of a written-out statement as models, for what every request asks.

Building and compiling a query costs Django several times what PostgreSQL takes to answer it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Model


def one(sql: str, values: dict[str, Any], **models: type[Model]) -> list[Any] | None:
    """The first row as an object of each model, followed by its other values; None where there is no row.

    `{alias}` in the statement stands for every column of that alias's model. They come first, in the order of
    `models`. A model whose primary key is null was not there (LEFT JOIN): None stands for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            sql.format(**{alias: _columns(model, alias) for alias, model in models.items()}), values
        )
        row = cursor.fetchone()
    if row is None:
        return None
    found: list[Any] = []
    at = 0
    for model in models.values():
        names = _names(model)
        part = row[at : at + len(names)]
        found.append(None if part[0] is None else model.from_db(connection.alias, names, part))
        at += len(names)
    return [*found, *row[at:]]


@cache
def _columns(model: type[Model], alias: str) -> str:
    return ", ".join(f"{alias}.{field.column}" for field in model._meta.concrete_fields)


@cache
def _names(model: type[Model]) -> list[str]:
    fields = model._meta.concrete_fields
    assert fields[0].primary_key, "a model's first column tells whether it is there"
    return [field.attname for field in fields]
