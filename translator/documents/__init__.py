"""Documents in the formats that people translate: texts with inline markup in, the same document translated out."""
