"""How the page looks. Fonts are those of the machine, so that nothing is fetched from the web."""

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).parent / "assets" / "page.css"

HEAD = """
<script type="module" src="speech/assets/live.js"></script>
<script type="module" src="speech/assets/player.js"></script>
"""


def make() -> gr.themes.Base:
    """Make the theme."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=[gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")],
        font_mono=[gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")],
    )
    # Gradio's own blue under white letters has a contrast of 3 to 1; these have 5 or more.
    return theme.set(
        color_accent="*primary_700",
        color_accent_soft="*primary_100",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )
