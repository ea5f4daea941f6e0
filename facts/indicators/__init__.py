"""Indicators: reviewed definitions, and the arithmetic that turns accepted answers into values. Pure: no Django."""
