from django.apps import AppConfig


class CciConfig(AppConfig):
    name = "cci"
