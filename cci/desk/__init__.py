"""What the analyst's desk reads: how far rounds are, runs, candidates beside what is published, and how they hold."""
