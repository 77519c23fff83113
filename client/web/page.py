"""The page: its tabs, and what happens when something is pressed."""

from pathlib import Path

import gradio as gr

from client.web import compare_tab, live_tab, recording_tab
from client.web.connect import Connect
from client.web.tickets import Tickets

KEPT_S = 24 * 3600
CLEANED_EVERY_S = 3600
"""How long recordings are kept that visitors upload, and how often it is looked for older ones."""


def build(connect: Connect, tickets: Tickets, folder: Path) -> gr.Blocks:
    """Lay the page out.

    Args:
        connect: Reaches the speech recognition server.
        tickets: What live sessions are opened with.
        folder: Where files are put on their way to visitors.
    """
    demo: gr.Blocks = gr.Blocks(
        title="Streaming speech recognition",
        analytics_enabled=False,
        delete_cache=(CLEANED_EVERY_S, KEPT_S),
    )
    with demo:
        gr.Markdown("# Streaming speech recognition")
        with gr.Tabs() as tabs:
            with gr.Tab("Live", id="live"):
                live_tab.lay_out(demo, connect, tickets)
            with gr.Tab("Recording", id="recording"):
                recording_tab.lay_out(demo, connect, folder)
            with gr.Tab("Compare", id="compare"):
                compare_tab.lay_out(demo, connect)
        # Nobody sees a live session on another tab, so it shall not take up a place.
        tabs.change(None, None, None, js="() => window.speech.stop()")
    return demo
