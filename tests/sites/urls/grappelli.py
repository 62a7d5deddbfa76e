from django.urls import include, path

from tests import urls

urlpatterns = [path("grappelli/", include("grappelli.urls")), *urls.urlpatterns]
