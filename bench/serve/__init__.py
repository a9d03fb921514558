"""How fast beside other servers, what the gateway costs, how many cameras one machine holds."""
