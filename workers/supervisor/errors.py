class StartError(Exception):
    """The product cannot start or go on. The message is one sentence: what is wrong and what to do."""
