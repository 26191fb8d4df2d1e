"""Who gets what."""

from visiomedia.routing.router import Router, Subscription, Track

__all__ = ["Router", "Subscription", "Track"]
