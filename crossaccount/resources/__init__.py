"""Resource policies of AWS, one module for each kind of resource, with the same verbs: read, write, clear.

``read`` gives None where there is no policy; only the module itself knows how its service says so.
"""
