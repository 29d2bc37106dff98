"""What zenv is for, from end to end in a throw-away ledger, against a simulated Amazon on this machine.

Nothing is pretended on our side: the ledger, the connector, the HTTP and the rate limits are the real ones. Only the
clock is not: it is wound forward wherever a rate limit or a feed would make a person wait.
"""

from zenv.demo.network import NetworkEnding
from zenv.demo.network import play as play_network
from zenv.demo.sides import Side, differing
from zenv.demo.story import Ending, play

__all__ = ["Ending", "NetworkEnding", "Side", "differing", "play", "play_network"]
