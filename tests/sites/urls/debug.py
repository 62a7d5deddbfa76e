from django.urls import include, path

from tests import urls

urlpatterns = [path("__debug__/", include("debug_toolbar.urls")), *urls.urlpatterns]
