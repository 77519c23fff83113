"""The choice of a model, with what it can do, and the settings that it honours."""

from typing import Any

import gradio as gr

from client.errors import RecognitionError
from client.web.connect import Connect
from client.web.live import sentence_of
from client.web.settings import (
    DEFAULT_SILENCE_S,
    LEAST_SILENCE_S,
    MOST_SILENCE_S,
    capabilities,
    chosen,
    has_languages,
)


class ModelPicker:
    """The components; made where they shall stand."""

    def __init__(self, demo: gr.Blocks, connect: Connect) -> None:
        """Lay out the choice and fill it whenever the page is loaded."""
        self._connect = connect
        self._model = gr.Dropdown(label="Model", choices=[], value=None)
        self._about = gr.Markdown(elem_classes="about")
        with gr.Accordion("Settings", open=False):
            self._silence = gr.Slider(
                LEAST_SILENCE_S,
                MOST_SILENCE_S,
                value=DEFAULT_SILENCE_S,
                step=0.1,
                label="Silence that ends a segment, in seconds",
            )
            self._language = gr.Dropdown(
                label="Language", choices=[("the model's default", "")], value="", visible=False
            )
            self._phrases = gr.Textbox(
                label="Phrases that are likely to be said, one in each line",
                lines=3,
                visible=False,
            )
        outputs = [self._model, self._about, self._language, self._phrases]
        demo.load(self._refresh, None, outputs, queue=False, api_visibility="private")
        self._model.input(
            self._refresh, self._model, outputs, queue=False, api_visibility="private"
        )

    @property
    def inputs(self) -> list[gr.components.Component]:
        """The values of `Choices`, in its order."""
        return [self._model, self._silence, self._language, self._phrases]

    async def _refresh(self, name: str = "") -> list[Any]:
        try:
            async with self._connect() as client:
                models = await client.models()
        except RecognitionError as error:
            return [gr.skip(), f"**{sentence_of(error)}** Then reload this page.", *[gr.skip()] * 2]
        model = chosen(models, name)
        if model is None:
            return [gr.skip(), "**The server has no model.**", *[gr.skip()] * 2]
        languages = [("the model's default", ""), *((code, code) for code in model.language_codes)]
        return [
            gr.Dropdown(choices=[each.name for each in models], value=model.name),
            capabilities(model),
            gr.Dropdown(choices=languages, value="", visible=has_languages(model)),
            gr.Textbox(visible=model.phrases),
        ]
