"""The commands of `understudy` about serving: what they read of an operator, what they print."""
