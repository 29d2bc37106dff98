"""The year: a seeded simulation of two shops, one shelf and a bad network.

`company` builds the books and the simulators, `shelf` is what is true outside the books, `deeds` is what people
do, `checks` compares the books with the outside, `mutants` breaks the product on purpose, `play` runs one seed.
"""
