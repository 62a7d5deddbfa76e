from django.urls import include, path

urlpatterns = [path("twilio/", include("twilio_tokens.urls"))]
