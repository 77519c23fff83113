"""Clients of the speech recognition service.

- `client.stream`: the library; everything else stands on it
- `python -m client.file`: recordings, and raw samples on standard input
- `python -m client.mic`: the microphone

Nothing here knows the server's code, only its contract in `protos`.
"""
