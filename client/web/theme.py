"""How the page looks. Fonts are those of the machine, so that nothing is fetched from the web."""

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).parent / "assets" / "page.css"

HEAD = """
<script type="module" src="speech/assets/live.js"></script>
"""


def make() -> gr.themes.Base:
    """Make the theme."""
    return gr.themes.Soft(
        primary_hue="blue",
        neutral_hue="slate",
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )
