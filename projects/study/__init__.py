"""What the studies have in common: records, paired intervals, claims, tables, pictures."""
