"""Mail's way out: dispatcher, couriers, resolving, outcomes, bounces."""
