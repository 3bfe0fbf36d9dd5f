"""Decide which mail goes on, withhold mail that would go in a circle, deliver, and recognise bounces."""
