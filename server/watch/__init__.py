"""What the server says of itself: logs, numbers, whether it is ready."""
