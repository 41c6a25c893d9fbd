"""Find legal citations in text and rewrite them in another form. Pure functions: no models, no database."""

from webapp.citations.find import Citation, find_citations
from webapp.citations.forms import BLUEBOOK, COURT, NEUTRAL, Form, to_house_form, to_neutral_form

__all__ = [
    "BLUEBOOK",
    "COURT",
    "NEUTRAL",
    "Citation",
    "Form",
    "find_citations",
    "to_house_form",
    "to_neutral_form",
]
