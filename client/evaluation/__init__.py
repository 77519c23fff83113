"""What `python -m client.evaluate` is made of.

Audio goes through `manifest`, `recordings`, `conditions` (made of `effects` and `voices`) and
`schedule` to `run`, which streams it and keeps what `hearing` saw. `accuracy`, `latency`,
`steadiness` and `significance` turn that into figures and know no clock, file or network; `report`
gathers them, `thresholds` judges them, and `terminal`, `charts` and `page` show them.
"""
