"""Other people's simulators, joined to ours; each is imported only when it is asked for."""
