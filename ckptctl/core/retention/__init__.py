"""Which checkpoints a policy keeps, and why: rules, verdicts, budgets, plans, and what forbids a plan."""
