"""The benchmarks still run: they lean on insides that change, and nothing else starts them."""

from __future__ import annotations

from benchmarks import http_clients


def test_requests_of_httpx_are_measured_with_and_without_observation():
    plain, stream = http_clients.compare(requests=50, streams=50)

    assert plain.ours_s > 0
    assert stream.ours_s > 0
