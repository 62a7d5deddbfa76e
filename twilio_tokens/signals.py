"""Sent after a token was issued, with ``record=`` the ``IssuedToken``.

The record is unsaved where ``TWILIO_TOKENS_AUDIT`` is off. The token itself is never sent.
"""

from django.dispatch import Signal

access_token_issued = Signal(use_caching=True)
