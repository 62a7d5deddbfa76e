import reversion
import simple_history

from twilio_tokens import models

for model in (
    models.Account,
    models.APIKey,
    models.ChatService,
    models.TwiMLApp,
    models.PushCredential,
    models.IssuedToken,
):
    simple_history.register(model, app="tests.sites.histories")
    reversion.register(model)
