from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "core.accounts"
    label = "accounts"

    def ready(self):
        from core.accounts import idle, sessions  # noqa: F401  start the clocks of a session at sign-in
