"""What authors of plugins test with: contract test classes, real servers, fakes that remember."""
