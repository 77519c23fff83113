"""What `python -m client.evaluate` is made of.

Audio goes through `manifest`, `recordings`, `conditions` (of the `kinds` that `effects` and
`voices` make), `preparation` and `schedule` to `run`, which streams it and keeps what `hearing`
saw. `accuracy`, `latency`, `steadiness` and `significance` turn that into figures and know no
clock, file or network; `report` gathers them, `thresholds` judges them, and `tables`, `terminal`,
`charts` and `page` show them. `options` and `program` are the command line.
"""
