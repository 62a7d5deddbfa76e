"""Signals sent after a token was issued or refused. They contain no token and no request data.

``access_token_issued`` has ``record``, the ``IssuedToken``, which is unsaved if
``TWILIO_TOKENS_AUDIT`` is off. ``access_token_refused`` has ``user``, None unless signed in;
``products``, a tuple of the products' names, empty if they are not known; and ``code``, the code
of the error.
"""

from django.dispatch import Signal

access_token_issued = Signal(use_caching=True)
access_token_refused = Signal()
