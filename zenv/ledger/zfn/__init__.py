"""The fulfilment network in the books (decision 21).

    at a provider   standing, clients, tokens, feed, taking, shared_items
    at a client     links, sharing, handing, answers, replay
"""
