"""Published results as readers find them: the lake's files, the catalog over them, the history of a movement."""
