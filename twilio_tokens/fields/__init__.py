"""Model fields for names, for SIDs, and for secrets that are stored sealed."""

from .names import NameField, SIDField, SlugNameField
from .sealed import SealedField, SealedFormField, SealedInput

__all__ = [
    "NameField",
    "SIDField",
    "SealedField",
    "SealedFormField",
    "SealedInput",
    "SlugNameField",
]
