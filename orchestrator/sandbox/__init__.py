"""Simulated clouds in virtual time, spoken to over HTTP or in process."""
