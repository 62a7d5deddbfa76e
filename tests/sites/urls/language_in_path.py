from django.conf.urls.i18n import i18n_patterns

from tests import urls

urlpatterns = i18n_patterns(*urls.urlpatterns)
