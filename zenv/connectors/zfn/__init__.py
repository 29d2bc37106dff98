"""The connector to a fulfilment provider that runs zenv, too (decision 21): `pinning` finds out whom we speak to,
`api` asks, `streams` reads, `telling` tells, `connector` is the whole.
"""
