"""Checks beyond the form: X01–X30 of the framework, over all returns of a round. Pure."""
