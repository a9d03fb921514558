"""The commands of `understudy job` that look at runs, begin many of them, or begin one again."""
