"""The analyst's desk: the cycle board, runs, candidates beside what is published, how they hold, who did what."""
