"""Engines behind the ports of queue, trace and config."""
