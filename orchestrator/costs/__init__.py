"""Rates, the meter ledger and cost reports."""
