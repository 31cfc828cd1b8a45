"""What the configuration means: names, rules, decisions."""
