"""Sentence pairs that the tests share."""

PAIRS = [
    ("Le chat dort sur le canapé.", "The cat is sleeping on the sofa."),
    ("Où est la gare ?", "Where is the station?"),
    ("Je n'ai pas vu l'homme qui parlait.", "I did not see the man who was speaking."),
    ("« Bonjour ! » dit-elle en souriant.", "“Hello!” she said with a smile."),
    ("Nous avons mangé du pain et des œufs.", "We ate bread and eggs."),
]
