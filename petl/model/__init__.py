"""Backbone, method and head as one model: build, count and draw it."""
