"""Postfix: main.cf and its tables as text, read as Postfix reads them."""
