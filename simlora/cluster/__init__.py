"""The only mutable state: nodes, memories, links, processes, queues; implements the views."""
