"""Servers that misbehave, over raw sockets: in HTTP itself, as models, and as search services."""
