"""Looks inside: what a model learned, how it trains, and whether it copied.

`probes` and `novelty` measure and are cheap to import; `figures` draws and needs matplotlib.
`hornbook inspect` makes a page of it all (`report`).
"""
