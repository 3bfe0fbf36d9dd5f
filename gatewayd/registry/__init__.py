"""Plugins: found, tried in a process apart, loaded, and guarded, so that each fault is known as its plugin's."""
