"""zenv keeps items, warehouses, stock and orders in a local ledger, always in step with Amazon."""

__version__ = "0.1.0"
