"""The live tab: what can be chosen, start and stop, and the place where the words come."""

import json
from pathlib import Path

import gradio as gr

from client.errors import RecognitionError
from client.web.connect import Connect
from client.web.live import sentence_of
from client.web.model_picker import ModelPicker
from client.web.settings import Choices, chosen, streaming_config
from client.web.tickets import Tickets

_PANEL = (Path(__file__).parent / "assets" / "live.html").read_text(encoding="utf-8")

# The page answers the click before Python is asked.
_PRIME = "(...values) => { window.speech.prime(); return values; }"


def lay_out(demo: gr.Blocks, connect: Connect, tickets: Tickets) -> None:
    """Lay the tab out and say what its buttons do."""
    with gr.Row():
        start = gr.Button("Start listening", variant="primary", elem_id="live-start")
        stop = gr.Button("Stop", variant="stop", elem_id="live-stop")
        copy = gr.Button("Copy the text", elem_id="live-copy")
    gr.HTML(_PANEL, elem_id="live-panel", apply_default_css=False)
    # Below the words, which on a phone would come out of sight otherwise.
    picker = ModelPicker(demo, connect)
    answer = gr.Textbox(visible="hidden")

    async def admit(*values: object) -> str:
        choices = Choices(*values)  # type: ignore[arg-type]
        try:
            async with connect() as client:
                model = chosen(await client.models(), choices.model)
        except RecognitionError as error:
            return json.dumps({"problem": sentence_of(error)})
        config = streaming_config(choices, model, live=True)
        return json.dumps({"ticket": tickets.issue(config)})

    admitted = start.click(
        admit,
        picker.inputs,
        answer,
        js=_PRIME,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    admitted.then(None, answer, None, js="(answer) => window.speech.start(answer)")
    stop.click(None, None, None, js="() => window.speech.stop()")
    copy.click(None, None, None, js="() => window.speech.copy()")
