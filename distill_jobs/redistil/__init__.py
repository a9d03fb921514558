"""`understudy job redistil`: what cameras brought home becomes training data, and nothing else."""
