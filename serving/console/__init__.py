"""The console: what operators look at and move the deployment with, in a browser."""
