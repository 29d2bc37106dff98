"""Days of a company with the schedule in charge: a crew ticks, people buy and pack between the ticks, and things go
wrong for hours. `play` runs one seed, `trouble` is what goes wrong, `checks` compares, `mutants` are planted bugs."""
