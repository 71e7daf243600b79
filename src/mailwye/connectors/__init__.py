"""Connectors: who is calling (attribution), may he send there (relay), which way out (selection). Pure functions."""
