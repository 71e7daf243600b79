"""Objects as Exchange's cmdlets print them (`Get-InboundConnector | ConvertTo-Json`), and back."""
