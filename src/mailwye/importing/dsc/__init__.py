"""Microsoft365DSC: what Export-M365DSCConfiguration writes, and what people write in its manner."""
