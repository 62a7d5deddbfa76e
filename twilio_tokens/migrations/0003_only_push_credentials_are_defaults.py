from django.db import migrations
from django.db.models import Count


def make_only_ones_default(apps, schema_editor):  # type: ignore[no-untyped-def]
    """Apps that name their platform get the push credential that used to be named."""
    rows = apps.get_model("twilio_tokens", "PushCredential").objects
    rows = rows.using(schema_editor.connection.alias)
    only = rows.order_by().values("account", "platform").annotate(count=Count("pk")).filter(count=1)
    for row in list(only):
        rows.filter(account=row["account"], platform=row["platform"]).update(is_default=True)


class Migration(migrations.Migration):

    dependencies = [("twilio_tokens", "0002_products_and_default_push_credentials")]

    operations = [migrations.RunPython(make_only_ones_default, migrations.RunPython.noop)]
