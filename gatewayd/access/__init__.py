"""Who people are and what they may do on the pages: roles, web sessions, passwords, second factors."""
