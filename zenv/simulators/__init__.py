"""The other side of each remote: servers on loopback with state, a clock and faults.

They are written from the remotes' own models and import nothing of zenv outside this package, so what
they remember is an independent witness: the tests, `zenv demo` and `zenv sim` ask them what was really
sold, shipped and told.
"""
