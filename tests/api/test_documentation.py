"""The pages around the API: they name every endpoint, run under the site's policy, and the schema is valid."""

import json
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from drf_spectacular.validation import validate_schema

from observatory.api.router import ENDPOINTS
from observatory.middleware import CSP

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
PREFIXES = [prefix for prefix, *_ in ENDPOINTS]


@pytest.fixture
def schema(client) -> dict:
    return json.loads(client.get("/api/schema/").content)


def test_the_schema_validates_without_a_warning(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))

    assert (tmp_path / "schema.yaml").stat().st_size > 10_000


def test_the_schema_is_served_as_json_and_yaml(client, schema):
    validate_schema(schema)

    assert set(schema["paths"]) >= {f"/api/v1/{prefix}/" for prefix in PREFIXES}
    assert client.get("/api/schema/?format=yaml").content.startswith(b"openapi: 3")


def test_the_schema_says_problems_fields_and_whether_a_token_is_needed(schema):
    for prefix in PREFIXES:
        operation = schema["paths"][f"/api/v1/{prefix}/"]["get"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert "fields" in {parameter["name"] for parameter in operation["parameters"]}
        assert ({} in operation["security"]) == (prefix not in ("units", "returns"))
        assert {"application/json", "text/csv"} < set(operation["responses"]["200"]["content"])


def test_the_schema_documents_every_parameter_that_is_taken(schema):
    for prefix, viewset, _ in ENDPOINTS:
        named = {parameter["name"] for parameter in schema["paths"][f"/api/v1/{prefix}/"]["get"]["parameters"]}
        filterset = getattr(viewset, "filterset_class", None)
        assert set(filterset.base_filters if filterset else ()) <= named


def test_answers_have_the_fields_that_the_schema_promises(world, schema, client):
    for prefix in PREFIXES:
        if prefix in ("units", "returns"):
            continue
        listed = schema["paths"][f"/api/v1/{prefix}/"]["get"]["responses"]["200"]["content"]["application/json"]
        pages = schema["components"]["schemas"][listed["schema"]["$ref"].rsplit("/", 1)[1]]
        item = pages["properties"]["results"]["items"]["$ref"].rsplit("/", 1)[1]
        row = client.get(f"/api/v1/{prefix}/?page_size=1").json()["results"][0]
        assert set(row) == set(schema["components"]["schemas"][item]["properties"]), prefix


@pytest.mark.parametrize("address", ["/api/", "/api/docs/"])
def test_pages_hold_no_inline_script_or_style(client, address):
    response = client.get(address)
    text = response.content.decode()

    assert response.status_code == 200
    assert response["Content-Security-Policy"] == CSP
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)
    assert not re.search(r'(?:src|href)="https?://(?!testserver)', text)


def test_the_script_of_the_interactive_page_is_a_file_of_its_own(client):
    page = client.get("/api/docs/").content.decode()
    address = re.search(r'src="([^"]*script[^"]*)"', page)[1]
    script = client.get(address)

    assert script["Content-Type"] == "application/javascript"
    assert b"/api/schema/" in script.content


def test_the_page_and_the_guide_name_every_endpoint(client):
    page = client.get("/api/").content.decode()
    guide = (ROOT / "docs" / "api.md").read_text()

    for prefix in PREFIXES:
        assert f"/api/v1/{prefix}/" in page
        assert f"`{prefix}`" in guide


def test_commands_of_the_page_are_real(world, client):
    page = client.get("/api/").content.decode().replace("&amp;", "&").replace("&#x27;", "'")
    page = page.replace("PK-SUR-SKT", world.cluster.code)
    addresses = re.findall(r"curl '(http://testserver/api/v1/[^']*)'", page)

    assert len(addresses) >= 4
    for address in addresses:
        assert client.get(address.removeprefix("http://testserver")).status_code == 200, address


def test_the_root_names_every_address(client):
    assert list(client.get("/api/v1/").json()) == PREFIXES


def test_only_reading_has_a_meaning_on_the_page(client):
    assert client.post("/api/").status_code == 405
    assert client.post("/api/").json()["status"] == 405
