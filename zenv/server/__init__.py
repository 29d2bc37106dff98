"""What programs that call us meet: the face of a fulfilment provider (decision 21).

face        the operations
access      who calls, and what they may do
limits      how often, and how much at once
trouble     every answer that is not a success
description the same as an OpenAPI document
serving     the socket, TLS, signals
"""
