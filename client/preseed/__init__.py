"""Filling a store ahead of time: the list, the plan, the run, the report, the lock."""
