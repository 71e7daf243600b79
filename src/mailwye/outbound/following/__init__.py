"""What waits in the queue follows the settings; what they leave without a way waits on."""
