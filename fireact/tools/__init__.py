"""Search tools: a query in, one short text out."""
