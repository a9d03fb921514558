"""How often rollouts are rolled back, by simulation."""
