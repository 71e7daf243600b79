"""Exchange's cmdlets: the PowerShell lines that administrators already have, read, carried out on an organization, and written again.

Everything here is pure: text and one Organization in, another Organization and what the lines print out. No PowerShell is needed.
"""
