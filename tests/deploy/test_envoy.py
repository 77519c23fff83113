"""The example configuration of Envoy fits the service's defaults and its health names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from service.rpc.servicer import SERVICE
from service.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "deploy" / "envoy.yaml"


@pytest.fixture
def resources() -> dict[str, Any]:
    return yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["static_resources"]


@pytest.fixture
def cluster(resources) -> dict[str, Any]:
    (cluster,) = resources["clusters"]
    return cluster


@pytest.fixture
def http(resources) -> dict[str, Any]:
    (listener,) = resources["listeners"]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_envoy_knows_of_a_stop_before_new_streams_are_refused(cluster):
    """It asks for the service's own health name, at least twice while the lame duck lasts."""
    (check,) = cluster["health_checks"]
    assert check["grpc_health_check"] == {"service_name": SERVICE}
    for interval in ("interval", "no_traffic_interval"):
        assert 2 * seconds(check[interval]) < Settings().lame_duck_s


def test_envoy_asks_the_health_port_and_not_that_of_streams(cluster):
    """Each replica has two ports, and no two are the same."""
    endpoints = [
        entry["endpoint"] for entry in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    streams = [endpoint["address"]["socket_address"]["port_value"] for endpoint in endpoints]
    health = [endpoint["health_check_config"]["port_value"] for endpoint in endpoints]
    assert len({*streams, *health}) == 4


def test_the_service_ends_an_idle_stream_before_envoy_does(http):
    """So the client learns the reason; and streams have no other limit of Envoy's."""
    assert seconds(http["stream_idle_timeout"]) > Settings().idle_s + Settings().notice_s
    (route,) = http["route_config"]["virtual_hosts"][0]["routes"]
    assert seconds(route["route"]["timeout"]) == 0


def test_envoy_does_not_ask_again_for_what_may_have_begun(http):
    """Retries are for refusals in the headers of a response, and for what no replica has seen."""
    (route,) = http["route_config"]["virtual_hosts"][0]["routes"]
    conditions = set(route["route"]["retry_policy"]["retry_on"].split(","))
    assert conditions == {"unavailable", "connect-failure", "refused-stream"}


def test_envoy_pings_no_more_often_than_the_service_allows(cluster, http):
    """Below 5 s a client is thrown out with `Too many pings`."""
    options = next(iter(cluster["typed_extension_protocol_options"].values()))
    upstream = options["explicit_http_config"]["http2_protocol_options"]
    for http2 in (upstream, http["http2_protocol_options"]):
        assert seconds(http2["connection_keepalive"]["interval"]) > 5
