"""What is trained: networks and a loss."""
