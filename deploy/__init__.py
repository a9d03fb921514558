"""What operators watch and run a deployment with."""
