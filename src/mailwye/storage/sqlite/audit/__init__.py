"""`mailwye queue fsck`: what every accepted delivery became, proved from the files of the queue and compared with the trace."""
