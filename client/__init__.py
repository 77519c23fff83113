"""Clients of the speech recognition service.

- `client.stream`: the library; everything else stands on it
- `python -m client.file`: recordings, and raw samples on standard input
- `python -m client.mic`: the microphone
- `python -m client.web`: both of these on a page in the browser
- `python -m client.evaluate`: how well a recognizer does on recordings with known words
- `python -m client.health`: whether a server is ready

Nothing here knows the server's code, only its contract in `protos`.
"""
