"""The history of the database schema; run through `orchestrator.store.migrate` alone."""
