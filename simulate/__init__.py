"""The real relay between scripted peers, on a simulated network and clock, everything drawn from one seed.

`python -m simulate --seeds 1000`. What runs is ulproxy from `Sessions` down to its sockets, which are those
of network.py; the loop that calls it is clock.py's. Peers check what they hear for themselves and against
what others have said (ledger.py), by rules that border.py states a second time. Nothing here knows the
time, and nothing depends on the order of a set: a seed that fails fails again.
"""
