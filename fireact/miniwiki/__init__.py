"""Miniwiki, the embedded world: articles about invented things and questions that need several of them."""

from __future__ import annotations

from fireact.miniwiki.families import Bridge, Choice, Comparison, Compose, YesNo
from fireact.miniwiki.task import MiniWiki

__all__ = ["Bridge", "Choice", "Comparison", "Compose", "MiniWiki", "YesNo"]
