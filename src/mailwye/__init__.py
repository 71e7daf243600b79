"""Mailwye: the junction where Internet mail, mailboxes hosted here and an organization's own mail servers meet."""

__version__ = "0.1.0"
