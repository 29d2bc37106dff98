"""The books: items, warehouses, stock, orders, and what is owed to each remote.

Deliberately empty of imports, so that a command that only looks something up (`zenv.ledger.views`) loads
neither SQLModel nor SQLAlchemy. Writing starts at `zenv.ledger.book`.
"""
