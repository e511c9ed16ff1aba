"""Where notifications go: signed webhooks, and whatever apprise can reach."""
