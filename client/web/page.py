"""The page: its tabs, and what happens when something is pressed."""

import gradio as gr

from client.web import live_tab
from client.web.tickets import Tickets


def build(server: str, tickets: Tickets) -> gr.Blocks:
    """Lay the page out.

    Args:
        server: HOST:PORT of the speech recognition server.
        tickets: What live sessions are opened with.
    """
    demo: gr.Blocks = gr.Blocks(title="Streaming speech recognition", analytics_enabled=False)
    with demo:
        gr.Markdown("# Streaming speech recognition")
        with gr.Tabs(), gr.Tab("Live", id="live"):
            live_tab.lay_out(demo, server, tickets)
    return demo
