"""Find legal citations in text and rewrite them in another form. Pure functions: no models, no database."""

from webapp.citations.find import find_citations
from webapp.citations.forms import BLUEBOOK, COURT, NEUTRAL, Form, restyle, to_house_form, to_neutral_form
from webapp.citations.marks import Citation, Kind
from webapp.citations.spans import whole_spans

__all__ = [
    "BLUEBOOK",
    "COURT",
    "NEUTRAL",
    "Citation",
    "Form",
    "Kind",
    "find_citations",
    "restyle",
    "to_house_form",
    "to_neutral_form",
    "whole_spans",
]
