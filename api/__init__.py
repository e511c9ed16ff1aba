"""HTTP layer: REST routers, authentication, problem details and the dashboard."""
