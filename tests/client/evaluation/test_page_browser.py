"""The report's page in a real browser."""

import pytest

from tests.client.evaluation.test_evaluate import evaluate, manifest
from tests.client.web.browser import PALE, UNNAMED, opened

__all__ = ["manifest"]

pytestmark = pytest.mark.timeout(400)
"""A browser takes a busy machine a while."""


async def test_the_page_can_be_read_everywhere(server, manifest, tmp_path):
    """On a phone nothing sticks out, in the dark nothing is pale, the clips play, and nothing is
    asked of anybody."""
    report = tmp_path / "report.html"
    code, _, _ = await evaluate(
        server.address, manifest, "--condition", "clean", "--condition", "gain:-6", "--html", report
    )
    assert code == 0
    for scheme in ("light", "dark"):
        asked = []
        phone = {"width": 390, "height": 844}
        async with opened(viewport=phone, color_scheme=scheme) as page:
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            await page.goto(report.as_uri())
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await page.evaluate(UNNAMED) == []
            assert await page.evaluate(PALE) == []
            await page.evaluate("document.querySelector('audio').play()")
            await page.wait_for_function("document.querySelector('audio').currentTime > 0")
            others = [url for url in asked if not url.startswith("data:")]
            assert others == [report.as_uri()]
            assert page.problems == []
