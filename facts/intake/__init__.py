"""Files in: bounded, quarantined, all or nothing."""
