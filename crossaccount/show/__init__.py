"""The library's values as a person sees them: plans, refusals and latencies as text, Markdown and pictures."""
