"""What goes out: what mail goes on, what would go in a circle, and how it is delivered."""
