"""Writes of this room, by noun: `instruments`, `contexts`, `returns`, `imports`, `snapshots`."""
