"""Null and absent fields in templates, as Docker 26.1.5 prints them."""

from __future__ import annotations

from typing import Any

import pytest

from pyctl.cli.output.templates import Template, TemplateError, structs
from pyctl.cli.output.templates.values import encode

CONTAINER: dict[str, Any] = {
    "GraphDriver": {"Data": None, "Name": "overlayfs"},
    "ExecIDs": None,
    "State": {"Status": "created", "OOMKilled": False},
    "HostConfig": {"NetworkMode": "bridge", "CapAdd": None, "MemorySwappiness": None, "Links": None},
    "Config": {"OpenStdin": False, "Entrypoint": None, "Volumes": None},
    "NetworkSettings": {"Networks": {"bridge": {"IPAMConfig": None, "Aliases": None}}},
}


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("{{.Config.Entrypoint}}", "[]"),
        ("{{.Config.Volumes}}", "map[]"),
        ("{{.Config.Healthcheck}}", "<nil>"),
        ("{{.Config.ExposedPorts}}", "map[]"),
        ("{{.Config.StopSignal}}", ""),
        ("{{.Config.StopTimeout}}", "<nil>"),
        ("{{if .State.Health}}x{{else}}y{{end}}", "y"),
        ("{{if .Config.Healthcheck}}{{.State.Health.Status}}{{end}}", ""),
        ("{{with .State.Health}}{{.Status}}{{end}}", ""),
        ("{{.HostConfig.CapAdd}}", "[]"),
        ("{{.HostConfig.MemorySwappiness}}", "<nil>"),
        ("{{.HostConfig.Tmpfs}}", "map[]"),
        ("{{.HostConfig.Init}}", "<nil>"),
        ("{{len .HostConfig.Links}}", "0"),
        ("{{range .HostConfig.Mounts}}x{{else}}none{{end}}", "none"),
        ("{{.ExecIDs}}", "[]"),
        ("{{.SizeRw}}", "<nil>"),
        ("{{json .Config.Entrypoint}} {{json .State.Health}}", "null null"),
        ("{{.NetworkSettings.Networks.bridge.IPAMConfig}}", "<nil>"),
        ('{{index .Config.Volumes "/x"}}', ""),
    ],
)
def test_nil_prints_as_its_kind(layout: str, text: str) -> None:
    assert Template(layout).render(structs(CONTAINER)) == text


def test_a_field_of_nothing_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r'<\.State\.Health\.Status>: map has no entry for key "Health"'):
        Template("{{.State.Health.Status}}").render(structs(CONTAINER))


def test_an_omitted_field_belongs_to_its_own_object() -> None:
    with pytest.raises(TemplateError, match='no entry for key "Health"'):
        Template("{{.Config.Health}}").render(structs(CONTAINER))


def test_json_keeps_null_and_leaves_out_what_is_not_there() -> None:
    assert '"Entrypoint":null' in encode(structs(CONTAINER))
    assert "Health" not in encode(structs(CONTAINER))
