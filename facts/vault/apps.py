from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "facts.vault"
    label = "vault"
