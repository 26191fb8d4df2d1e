"""The same session against our node and against LiveKit's own server: what clients are told must be the same."""
