"""Made-up goods, numbers and people from a seeded random source: the same catalogue can be made again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any


def words(text: str) -> list[str]:
    """A list written as words between blanks."""
    return text.split()


_MOODS = words("""Grumpy Heroic Sleepy Suspicious Polite Thunderous Melancholic Overqualified Ticklish
Diplomatic Nocturnal Caffeinated Bashful Victorious Philosophical Wobbly Incognito Retired Unflappable
Dramatic Frugal Jubilant Cryptic Reluctant Majestic Pensive Rogue Sentimental Turbo Understated""")
_GOODS = """Teapot|Garden Gnome|Umbrella|Spatula|Bath Duck|Alarm Clock|Sock Drawer|Stapler|Cactus|Kazoo
Doormat|Egg Timer|Colander|Bookend|Lampshade|Sieve|Hammock|Whisk|Doorbell|Pillow|Metronome|Watering Can
Toast Rack|Abacus|Bird Feeder|Corkscrew|Lint Roller|Snow Globe|Piggy Bank|Butter Dish|Hat Stand
Fly Swatter|Napkin Ring|Yo-Yo"""
_USES = """for Left-Handed Pirates|with Mild Opinions|that Hums on Tuesdays|for Fierce Gardening
in Travel Size|with Spare Dignity|for Small Emergencies|that Knows Your Secrets|for Indoor Weather
with Extra Corners|for Reluctant Hikers|that Forgives You|for Underwater Meetings|with Emotional Support
for Beginners and Owls|for Rainy Parades"""
COLOURS = ("red", "teal", "mustard", "plum", "ivory", "graphite")
_FIRST = words("Ada Bruno Chiara Dmitri Elsa Farid Greta Hugo Ines Jonas Katya Luis Mira Nils Olga Pavel Rosa Sven")
_LAST = words("Applegate Birnbaum Castellano Dunkelweiss Ekström Fitzgibbon Grasshopper Hollyhock Ivanova")
_CITIES = (("Springfield", "OR", "97477"), ("Riverside", "CA", "92501"), ("Franklin", "TN", "37064"))


def _phrases(text: str) -> list[str]:
    return text.replace("\n", "|").split("|")


def good_names(rng: random.Random) -> Iterator[str]:
    """Endless distinct names of goods; numbered editions once every combination has been used."""
    names = [f"{m} {g} {u}" for m in _MOODS for g in _phrases(_GOODS) for u in _phrases(_USES)]
    rng.shuffle(names)
    yield from names
    for edition in itertools.count(2):
        yield from (f"{name}, Edition {edition}" for name in names)


def gtin(rng: random.Random, serial: int) -> str:
    """A valid and, for a given serial, distinct EAN-13 (prefix 40) or UPC-A (prefix 0)."""
    body = f"40{serial:010d}" if rng.random() < 0.7 else f"0{serial:010d}"
    digits = [int(digit) for digit in reversed(body)]
    total = sum(digit * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits))
    return f"{body}{-total % 10}"


def asin(rng: random.Random) -> str:
    """Ten characters that look like an ASIN."""
    return "B0" + "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=8))


def person(rng: random.Random, country: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A made-up recipient address and buyer."""
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    city, state, postcode = rng.choice(_CITIES)
    address = {
        "name": name,
        "addressLine1": f"{rng.randint(1, 999)} Imaginary Lane",
        "city": city,
        "stateOrRegion": state,
        "postalCode": postcode,
        "countryCode": country,
        "phone": f"+1 555-01{rng.randint(0, 99):02d}",
        "addressType": "RESIDENTIAL",
    }
    mailbox = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=14))
    return address, {"buyerName": name, "buyerEmail": f"{mailbox}@marketplace.example"}
