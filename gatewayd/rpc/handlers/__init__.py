"""What does the calls, a module for each matter. Each function gets the person, who may have it done by role."""
