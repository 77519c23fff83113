"""The browser demo: a page that speaks to a server through the client library.

`page` lays it out with Gradio. Live speech does not go through Gradio's events: the browser
sends samples through a WebSocket (`assets/`, `socket`), and `live` relays them to one stream of
the service, which ends when the socket does.
"""
