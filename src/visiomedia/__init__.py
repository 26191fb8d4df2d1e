"""visiomedia: a pure-asyncio media server library."""

__version__ = "0.1.0"
