"""The fulfilment network in the books (decision 21).

at a provider   standing, clients, client_items, tokens; taking and shared_items (what a client says), feed (what it
                may read)
at a client     links and leftovers (joining and parting), sharing (items), handing and answers (orders), journal,
                replay and arrivals (what the provider did), differing and restored (what does not fit)
"""
