"""The final state of each order: outcomes, their counts, the report of a run, and sums of reports."""
