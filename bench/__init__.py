"""Figures against what a facility would use instead, both in one run, taken in turns.

``python -m bench`` prints a table and writes JSON. Ratios hold on a machine whose speed drifts;
single seconds do not.

=============  ====================================================================================
``replay``     a start and a stop, with an API server that says at once when a pod is ready or gone;
               the longest time for which a hub's event loop stands still, with many pods
``on_cluster`` the same on a real cluster, and how long a fault takes to become a sentence
``click``      from the click on *Start* to the first byte of the page, hub and proxy included
``figures``    medians, spread and ratios, as a table and as JSON
=============  ====================================================================================
"""
