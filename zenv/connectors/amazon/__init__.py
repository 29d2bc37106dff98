"""Amazon's Selling Partner API: pure translation in both directions, and the calls around it.

The facts behind every rule here are Amazon's published models and pages; where a page is named, it is the
source.
"""
