from django.apps import AppConfig


class PolicyConfig(AppConfig):
    name = "core.policy"
    label = "policy"

    def ready(self):
        from core.policy import checks  # noqa: F401  registers the start-up check
