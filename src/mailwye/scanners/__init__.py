"""Checks that ask other programs (Rspamd, clamd) or DNS (SPF, DKIM, DMARC, ARC). None is built yet."""
