"""Bytes to text, one module per format. Imports neither Django nor torch; parsers only when used."""

from workers.extraction.read import extract
from workers.extraction.result import Extracted, ExtractionRefused, Limits

__all__ = ["Extracted", "ExtractionRefused", "Limits", "extract"]
