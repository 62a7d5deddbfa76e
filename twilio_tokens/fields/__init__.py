"""Model fields for what the Twilio Console hands out: SIDs, and secrets kept sealed."""

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
