"""What a periodic review holds records against each other by: their state, its drift, and the events that made it."""
