from django.apps import apps
from django.contrib import admin
from django.urls import include, path

second = admin.AdminSite(name="second")
for model in apps.get_app_config("twilio_tokens").get_models():
    if admin.site.is_registered(model):
        second.register(model, type(admin.site.get_model_admin(model)))

urlpatterns = [
    path("admin/", admin.site.urls),
    path("second/", second.urls),
    path("twilio/", include("twilio_tokens.urls")),
]
