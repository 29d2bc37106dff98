"""The tables. Each is written by exactly one subject module, named beside it.

Money is an integer of minor units, quantities are integers of base units, times are UTC. A table model does not
validate what it is given (SQLModel leaves that to other models), so the CHECK constraints here are the last
word. Everything is STRICT on SQLite: text never ends up in an integer column.
"""

from sqlmodel import SQLModel

from zenv.ledger.models.channels import (
    Connection,
    Cursor,
    Listing,
    Message,
    Notice,
    RateBucket,
    Secret,
    StockSource,
)
from zenv.ledger.models.goods import OUTSIDE, Company, Item, Level, Movement, Place, Transfer, Warehouse
from zenv.ledger.models.network import (
    Client,
    ClientJournal,
    Fulfilment,
    Inbound,
    InboundLine,
    Link,
    LinkRequest,
    LinkToken,
    Mirrored,
    Standing,
    User,
)
from zenv.ledger.models.people import Audit, Customer, OrderCustomer, Paper, PrivacyTerm
from zenv.ledger.models.trade import Order, OrderComment, OrderLine, Personal, Reservation, Shipment, ShipmentLine
from zenv.ledger.models.work import Attendance, Breaker, Run, RunFailure, RunRecords, ScheduledTask

__all__ = [
    "OUTSIDE",
    "Attendance",
    "Audit",
    "Breaker",
    "Client",
    "ClientJournal",
    "Company",
    "Connection",
    "Cursor",
    "Customer",
    "Fulfilment",
    "Inbound",
    "InboundLine",
    "Item",
    "Level",
    "Link",
    "LinkRequest",
    "LinkToken",
    "Listing",
    "Message",
    "Mirrored",
    "Movement",
    "Notice",
    "Order",
    "OrderComment",
    "OrderCustomer",
    "OrderLine",
    "Paper",
    "Personal",
    "Place",
    "PrivacyTerm",
    "RateBucket",
    "Reservation",
    "Run",
    "RunFailure",
    "RunRecords",
    "SQLModel",
    "ScheduledTask",
    "Secret",
    "Shipment",
    "ShipmentLine",
    "Standing",
    "StockSource",
    "Transfer",
    "User",
    "Warehouse",
]
