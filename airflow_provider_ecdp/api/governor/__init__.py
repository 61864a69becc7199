"""How fast and how often a client sends: pace, requests in flight, and the quota of retries."""
