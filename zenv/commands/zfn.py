"""`zenv zfn`: the fulfilment network. A provider keeps and ships goods for its clients, each with a zenv of its own."""

from __future__ import annotations

from zenv import commands
from zenv.commands import zfn_client, zfn_provider

app = commands.noun("The fulfilment network: be a provider, or have one keep your goods.")

zfn_provider.register(app)
zfn_client.register(app)
