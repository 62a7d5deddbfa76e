from twilio_tokens.crypto import generate_key

SECRET_KEY = "benchmark"
ALLOWED_HOSTS = ["benchmark"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "twilio_tokens",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]
}
ROOT_URLCONF = "__main__"  # of benchmarks.token_request
TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
TWILIO_TOKENS_AUDIT = False
TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 3_600
