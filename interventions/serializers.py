"""What the API shows of interventions. An amount never goes without its currency; a suspect one stays text."""

from rest_framework import serializers

from clusters.serializers import PageField

from .models import BudgetLine, Intervention, Scheme


class BudgetLineSerializer(serializers.ModelSerializer):
    amount = serializers.SerializerMethodField(help_text="In the currency beside it; empty where it is suspect.")

    class Meta:
        model = BudgetLine
        fields = ["amount", "currency", "per", "as_printed", "is_suspect", "note"]

    def get_amount(self, line) -> float | None:
        if line.amount is None:
            return None
        return int(line.amount) if line.amount == line.amount.to_integral_value() else float(line.amount)


class InterventionSerializer(serializers.ModelSerializer):
    clusters = serializers.SerializerMethodField(help_text="Cluster codes.")
    parent = serializers.SerializerMethodField(help_text="Code of the whole that this is a part of. Never sum both.")
    lead = serializers.SlugRelatedField("slug", read_only=True)
    partners = serializers.SlugRelatedField("slug", many=True, read_only=True)
    scheme = serializers.SlugRelatedField("slug", read_only=True)
    budget_lines = BudgetLineSerializer(many=True, read_only=True)
    page = PageField(help_text="The intervention on this site.")

    class Meta:
        model = Intervention
        fields = [
            "code",
            "title",
            "kind",
            "clusters",
            "parent",
            "scheme",
            "lead",
            "lead_text",
            "partners",
            "partners_text",
            "starts_on",
            "start_precision",
            "start_text",
            "ends_on",
            "end_precision",
            "end_text",
            "types",
            "areas",
            "status_then",
            "budget_lines",
            "note",
            "sources",
            "is_synthetic",
            "page",
        ]

    def get_clusters(self, intervention) -> list[str]:
        return [cluster.code for cluster in intervention.public_clusters]

    def get_parent(self, intervention) -> str | None:
        parent = intervention.parent
        return parent.code if parent and parent.is_published else None


class SchemeSerializer(serializers.ModelSerializer):
    owner = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = Scheme
        fields = ["slug", "name", "owner", "note", "sources"]
