"""Reads metrics as Prometheus does."""

from __future__ import annotations

import asyncio
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families


async def scrape(address: str) -> str:
    """Return what stands at /metrics."""

    def read() -> str:
        with urlopen(f"http://{address}/metrics", timeout=50) as response:
            return response.read().decode()

    return await asyncio.to_thread(read)


async def samples(address: str) -> dict[tuple[str, ...], float]:
    """Return the value of each sample by its name and the values of its labels, sorted."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await scrape(address))
        for sample in family.samples
    }
