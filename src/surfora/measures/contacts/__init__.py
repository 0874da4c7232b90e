"""Contacts as objects: connected areas of two membranes within a threshold of each other.

Read `find` first: it cuts both membranes along the threshold line and joins what faces each other;
`describe` gives a contact its numbers, `curve` the area against the threshold, `itself` the gaps between the
folds of one membrane.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"find": ["contacts_between"], "curve": ["contact_curve"]}
)
