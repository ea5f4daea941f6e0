"""What every page is told."""

from django.conf import settings


def site(request):
    """`synthetic_site`: this stand shows invented figures. `contact_email`: where errors are reported."""
    return {"synthetic_site": settings.DEMO, "contact_email": settings.CONTACT_EMAIL}
