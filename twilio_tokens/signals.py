"""Sent after a token was issued, or refused. Neither the token nor what was asked for is sent.

``access_token_issued`` has ``record=`` the ``IssuedToken``, which is unsaved where
``TWILIO_TOKENS_AUDIT`` is off. ``access_token_refused`` has ``user=`` who asked, None unless
signed in, ``products=`` a tuple of the products' keys, empty where they are not known, and
``code=`` that of the error.
"""

from django.dispatch import Signal

access_token_issued = Signal(use_caching=True)
access_token_refused = Signal()
