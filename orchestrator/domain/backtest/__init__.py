"""What traffic would have cost under other rules, and which rule to take; pure."""
