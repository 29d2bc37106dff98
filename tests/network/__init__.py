"""A seeded simulation of two companies and an Amazon: a client whose goods a provider keeps, over a bad line.

`play` plays one history, `deeds` and `depot` are what people do at the client and at the provider, `trouble` is the
line between the two, `checks` holds both ledgers against what really happened, `mutants` are bugs planted to be found.
"""
