"""Models in the formats of other toolkits: export, import, and the proof that both sides decode alike."""
