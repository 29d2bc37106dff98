"""The books: items, warehouses, stock, orders, and what is owed to each remote.

    opening and keeping   book  transaction  settle  db  sqlite  home  migrations/  models/
    looking things up     views (with views.sql)  why
    sound and safe        invariants/  mending  chain  backup  restore  keys
    items and listings    catalog  item_files  gtin  listings  listing_facts  linking  adoption  remapping
    stock                 stock
    orders                orders  order_facts  lines  elsewhere
    people                recipients  customers  papers  packing
    answered for          policy  redaction  explaining  retention  columns  audit  certificate  proof  proof_files
    remotes               connections  buckets  outbox  messages  notices
    when things run       schedule  breaker  attendance  runs  keeping

Deliberately empty of imports, so that a command that only looks something up (`zenv.ledger.views`) loads
neither SQLModel nor SQLAlchemy. Writing starts at `zenv.ledger.book`.
"""
