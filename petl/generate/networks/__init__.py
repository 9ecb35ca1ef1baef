"""The networks that generators are made of."""
