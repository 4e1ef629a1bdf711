"""HTTP server: LibreTranslate's API in front of one translator. Requires the extra `serve`."""
