"""Values about one message: envelope, what the session proved, content, headers, delivery status notifications."""
