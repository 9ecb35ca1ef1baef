"""Backbone + method + head: built, counted, described and drawn."""
