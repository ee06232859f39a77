"""Stateful stand-ins, over HTTP, for the systems that Order Sync talks to.

They are written from the contracts alone and share no code with the connectors.
"""
